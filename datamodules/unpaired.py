"""Images of several domains without partners."""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Literal, get_args

from datamodules.augment.images import TransformSpec
from datamodules.base.translation_data import HeldOut
from datamodules.errors import DataError
from datamodules.files.archives import is_clutter
from datamodules.files.decoding import Resize, Size
from datamodules.files.modalities import ModalitySpec
from datamodules.files.scenes import (
    FileScenes,
    Found,
    Picture,
    find,
    find_aligned,
    refuse_constant,
    refuse_unusable,
    scan,
)
from datamodules.files.translation_folders import TranslationFolders, existing_folder
from datamodules.items.modalities import Modality
from datamodules.items.scenes import Scenes


class Unpaired(TranslationFolders):
    """A training set of each domain, whose only modality has its name.

    The files of a domain lie in CycleGAN's `<root>/trainA`, `valA`, `testA`, or in
    `<root>/train/A`, `val/A`, `test/A`. An item of `val` or `test` holds the next image of every
    domain; a domain with fewer images than another starts again.

    Args:
        root: Folder of all domains.
        image_size: Side in pixels.
        domains: Domain -> what its folders are called after `train`; None: all that there are, by
            that name.
        modalities: Domain -> {kind, channels, label, ...} of those that are not RGB images; see
            `datamodules.modality_files.declare`.
        load_size: Side at which training images are kept, of which each draw is a random crop of
            `image_size` (CycleGAN: 286 of 256); None: no crop.
        resize: `crop` takes the central square, `stretch` the whole image.
        in_memory: Whether to decode all files once; `auto` does so up to 1 GiB a domain.
        batch_size: Images of every domain per batch and process.
        augment: Transforms of the training images; see `build_joint_augment`.
        num_workers: Processes that prepare batches; 0 is fastest for images in memory.
        seed: Of the orders of the images and of their augmentation.
    """

    aligned = False

    def __init__(
        self,
        root: str,
        image_size: int,
        domains: dict[str, str] | None = None,
        modalities: dict[str, ModalitySpec] | None = None,
        load_size: int | None = None,
        resize: Resize = "stretch",
        in_memory: bool | Literal["auto"] = "auto",
        batch_size: int = 1,
        augment: list[TransformSpec] | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        self.domains = domains or _domains(existing_folder(Path(root)))
        specs = modalities or {}
        for name in specs:
            if name not in self.domains:
                raise DataError(
                    f"modalities has {name!r}, which is no domain; there are "
                    f"{', '.join(self.domains)}."
                )
        super().__init__(
            root,
            {name: specs.get(name, {}) for name in self.domains},
            {name: [name] for name in self.domains},
            image_size,
            load_size,
            resize,
            in_memory,
            batch_size,
            augment,
            num_workers,
            seed,
        )

    def has_split(self, name: str) -> bool:
        return name in get_args(HeldOut) and any(
            self._folder(name, domain).is_dir() for domain in self.domains
        )

    def load_set(self, name: str) -> Scenes:
        scenes = super().load_set(name)
        if len(scenes) < 2:
            raise DataError(
                f"{self._folder('train', name)} has one training image of the domain {name}; a "
                "domain takes 2 or more."
            )
        refuse_constant(self.root, self._files[f"set {name}"])
        return scenes

    def find_set(self, name: str) -> tuple[Sequence[str], Found]:
        files = find(self._folder("train", name))
        ids = [f"train/{name}/{stem}" for stem in files]
        return ids, {name: [Picture(file) for file in files.values()]}

    def find_held_out(self, name: HeldOut) -> tuple[Sequence[str], Found]:
        files = {domain: find(self._folder(name, domain)) for domain in self.domains}
        n = max(len(each) for each in files.values())
        items = {domain: list(islice(cycle(each), n)) for domain, each in files.items()}
        found = {
            domain: [Picture(files[domain][stem]) for stem in items[domain]] for domain in files
        }
        return [f"{name}/" + "+".join(item) for item in zip(*items.values(), strict=True)], found

    def _folder(self, part: str, domain: str) -> Path:
        name = self.domains[domain]
        nested = self.root / part / name
        return nested if nested.is_dir() else self.root / f"{part}{name}"


def read_folder(
    folder: Path, modalities: Mapping[str, Modality], size: Size, resize: Resize = "crop"
) -> FileScenes:
    """Return the scenes of a folder that is to be translated, all files checked.

    Args:
        folder: Holds `<modality>/<stem>.<ext>`; or, of a single modality, `<stem>.<ext>`.
        modalities: Name -> what it is.
        size: Side in pixels, or height and width.
        resize: How pictures of other shapes get this one.

    Returns:
        The scenes in the order of their stems, which are their ids.
    """
    nested = {name: folder / name for name in modalities}
    single = len(modalities) == 1 and not next(iter(nested.values())).is_dir()
    stems, found = find_aligned(dict.fromkeys(nested, folder) if single else nested)
    verdicts = scan(folder, modalities, found)
    refuse_unusable(folder, found, verdicts, aligned=True)
    return FileScenes(modalities, found, stems, size, resize, verdicts)


def _domains(root: Path) -> dict[str, str]:
    """Return the domains that have training images, by the names of their folders."""
    nested = root / "train"
    if nested.is_dir():
        entries = [entry.name for entry in nested.iterdir() if entry.is_dir()]
        names = [name for name in entries if not is_clutter(name)]
    else:
        names = [p.name.removeprefix("train") for p in root.glob("train?*") if p.is_dir()]
    if len(names) < 2:
        raise DataError(
            f"{root} has {len(names)} domains; give at least two, as trainA and trainB or as "
            "train/A and train/B."
        )
    return {name: name for name in sorted(names)}
