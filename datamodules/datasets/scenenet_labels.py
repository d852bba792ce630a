"""Class maps of SceneNet RGB-D, written once from its instance maps and trajectory protobufs.

    python -m datamodules.scenenet_labels data/scenenet/train wnid_to_class.txt train_protobufs/*.pb

reads `<group>/<video>/instance/<frame>.png` under the folder and writes `label13/<frame>.png`
beside it: 8 bits, 0 unknown, 1 to 13 NYUv2's classes. `wnid_to_class.txt`, WordNet id to class, is
semantic_classes/wnid_to_class.txt of github.com/jmccormac/pySceneNetRGBD. The protobufs are read at
the level of their wire format (protobuf.dev, Encoding), by the field numbers of scenenet.proto at
5d1ef59, so no protobuf library or generated module is needed.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.datasets.scenenet import CLASS_COLOURS, LABEL_FOLDER, frame_numbers
from datamodules.errors import DataError
from datamodules.files.decoding import UnreadableError, open_image
from datamodules.files.lazy_scenes import sixteen_bits

_TRAJECTORIES = 1  # field of the file
_INSTANCES, _RENDER_PATH = 2, 4  # fields of a trajectory
_INSTANCE_ID, _WORDNET_ID, _INSTANCE_TYPE = 1, 2, 4  # fields of an instance
_BACKGROUND = 1  # a value of the instance type
_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5  # wire types
_REMEDY = "give SceneNet RGB-D's own file, fetched again."


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m datamodules.scenenet_labels")
    parser.add_argument("folder", type=Path, help="the extracted train or val folder")
    parser.add_argument("classes", type=Path, help="wnid_to_class.txt")
    parser.add_argument("protobufs", type=Path, nargs="+", help="of that folder's videos")
    parser.add_argument("--frames_per_video", type=int, default=10, help="as the data module's")
    given = parser.parse_args(arguments)
    try:
        numbers = frame_numbers(given.frames_per_video)
        class_of = read_classes(given.classes)
        for path in given.protobufs:
            for video, wordnet_ids in trajectories(path.read_bytes()):
                instances = class_numbers(wordnet_ids, class_of)
                convert(given.folder / video, numbers, instances)
    except (DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def convert(video: Path, frames: Sequence[int], class_of: Mapping[int, int]) -> None:
    """Write the class maps of some frames of a video.

    Args:
        video: Its folder.
        frames: Their file numbers.
        class_of: Instance -> number of its class; instances that are not in it are unknown.
    """
    table = np.zeros(2**16, np.uint8)
    table[list(class_of)] = list(class_of.values())
    (video / LABEL_FOLDER).mkdir(exist_ok=True)
    for frame in frames:
        path = video / "instance" / f"{frame}.png"
        try:
            instances = sixteen_bits(open_image(path.read_bytes()))
        except UnreadableError as error:
            raise DataError(f"{path} {error}; extract it again.") from error
        Image.fromarray(table[instances]).save(video / LABEL_FOLDER / path.name)


def read_classes(path: Path) -> dict[str, int]:
    """Return WordNet id, eight digits -> number of its class, 1 to 13, from wnid_to_class.txt."""
    numbers = {name: number for number, name in enumerate(CLASS_COLOURS, start=1)}
    heading, *rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if "13_classes" not in heading:
        raise DataError(f"{path} has no column 13_classes; give pySceneNetRGBD's file.")
    column = heading.index("13_classes")
    try:
        return {row[0].zfill(8): numbers[row[column].lower()] for row in rows}
    except (IndexError, KeyError) as error:
        raise DataError(f"{path} has a row without one of {', '.join(numbers)}.") from error


def class_numbers(
    wordnet_ids: Mapping[int, str | None], class_of: Mapping[str, int]
) -> dict[int, int]:
    """Return instance -> number of its class, 0 for the background."""
    for wordnet_id in wordnet_ids.values():
        if wordnet_id is not None and wordnet_id not in class_of:
            raise DataError(
                f"An object has the WordNet id {wordnet_id}, which wnid_to_class.txt lacks; give "
                "the file of the same release."
            )
    return {i: 0 if name is None else class_of[name] for i, name in wordnet_ids.items()}


def trajectories(data: bytes) -> Iterator[tuple[str, dict[int, str | None]]]:
    """Read the videos of a protobuf file.

    Yields:
        The folder of a video, and instance -> WordNet id, None for the background.
    """
    for number, trajectory in fields(data):
        if number == _TRAJECTORIES:
            parts = list(fields(_bytes(trajectory)))
            folders = [_text(value) for field, value in parts if field == _RENDER_PATH]
            if len(folders) != 1:
                raise DataError(f"A video has {len(folders)} folders in the protobuf; {_REMEDY}")
            yield folders[0], dict(_instance(value) for f, value in parts if f == _INSTANCES)


def _instance(value: int | bytes) -> tuple[int, str | None]:
    found = dict(fields(_bytes(value)))
    number = found.get(_INSTANCE_ID)
    if not isinstance(number, int) or number >= 2**16:
        raise DataError(f"An object of the protobuf has the number {number!r}; {_REMEDY}")
    background = found.get(_INSTANCE_TYPE) == _BACKGROUND
    return number, None if background else _text(found.get(_WORDNET_ID, b""))


def _text(value: int | bytes) -> str:
    return _bytes(value).decode(errors="replace")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise DataError(f"The protobuf has the number {value} where a text should be; {_REMEDY}")
    return value


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Read the fields of one protobuf message in order.

    Yields:
        The field's number, and its value: an int of a varint, else bytes.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == _COUNTED:
            length, at = _varint(data, at)
        else:
            length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(wire_type, -1)
        if length < 0 or at + length > len(data):
            raise DataError(f"The protobuf breaks off or is none; {_REMEDY}")
        yield number, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at a position, seven bits a byte, and the position behind."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise DataError(f"The protobuf ends within a number; {_REMEDY}")
