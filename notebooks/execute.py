"""Run notebooks and keep what they show: `python notebooks/execute.py [NOTEBOOK.ipynb ...]`.

Left out of the outputs is what differs from one run to the next: times, progress, warnings.
"""

import base64
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
# Progress of training, and what it took.
PASSING = re.compile(r"^\s*\d+/\d+ .* left\b.*$|^.*\bms_per_image\b.*$")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def main(names: list[str]) -> None:
    """Run the notebooks that are named, or all, and write them with their outputs."""
    for path in map(Path, names) if names else sorted(HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=None, kernel_name="python3", resources=where).execute()
        nbformat.write(kept(notebook), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def kept(notebook: NotebookNode) -> NotebookNode:
    """Return an executed notebook without what differs from one run to the next."""
    notebook.metadata.language_info = NotebookNode(name="python")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.metadata = NotebookNode()
        cell.execution_count = number
        cell.outputs = list(_outputs(cell.outputs))
    return notebook


def _outputs(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Return what was printed as plain text, and pictures, in their order; warnings are left."""
    text = ""
    for output in outputs:
        if output.output_type == "stream":
            text += output.text if output.name == "stdout" else ""
        elif "image/png" in output.data:
            yield from _printed(text)
            text = ""
            data = {"image/png": _small(output.data["image/png"])}
            yield nbformat.v4.new_output("display_data", data)
        else:
            text += output.data.get("text/plain", "").rstrip("\n") + "\n"
    yield from _printed(text)


def _printed(text: str) -> Iterator[NotebookNode]:
    lines = [line for line in COLOUR.sub("", text).splitlines() if not PASSING.match(line)]
    if printed := "\n".join(line.rstrip() for line in lines).strip("\n"):
        yield nbformat.v4.new_output("stream", name="stdout", text=printed + "\n")


def _small(png: str) -> str:
    """Return a picture with 256 colours: a third of the bytes."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        if picture.mode == "P":
            return png
        picture.convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main(sys.argv[1:])
