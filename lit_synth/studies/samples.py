"""Sample pictures of a study: what its arms make, side by side, at a size that one can see."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lit_synth.studies.figures import shrink
from lit_synth.studies.jobs import Jobs
from lit_synth.studies.names import arm_name
from lit_synth.studies.plan import Plan
from lit_synth.studies.terms import matching

ACROSS = 824  # pixels that a page shows without making them smaller
PART = (398, 134)  # of a grid: two rows of six images of 64 pixels
GAP, HEADING = 12, 24


def draw_samples(jobs: Jobs, path: Path) -> None:
    """Write the last samples of the arms in `plot.samples`, beside each other, from the first seed.

    Every arm starts from the same latents. Arms whose run has failed are left out. Pixels stay as
    they are in the runs' grids, whose images are at least 64 pixels wide. Of each grid `plot.part`
    is shown: width and height from its upper left, or left, top, width and height.
    """
    patterns = jobs.plan.plot.get("samples", [])
    grids = {}
    for arm in (name for pattern in patterns for name in matching(pattern, jobs.arms)):
        first = next(iter(jobs.arms[arm].values()))
        if files := sorted((first.folder / "samples").glob("[0-9]*.png")):
            grids[arm_name(arm, jobs.plan.plot)] = files[-1]
    if grids:
        part = jobs.plan.plot.get("part", PART)
        write_panels({name: _part(file, part) for name, file in grids.items()}, path)


def caption(plan: Plan) -> str:
    """Return what stands below the pictures."""
    made = str(plan.plot.get("shows", "Images that the first seed of each arm ends with"))
    return f"{made}, from the same latents or inputs in all arms."


def write_panels(panels: dict[str, Image.Image], path: Path) -> None:
    """Write pictures under their names, as many beside each other as a page shows."""
    width = max(GAP + panel.width for panel in panels.values())
    height = max(HEADING + panel.height for panel in panels.values())
    across = min(len(panels), max(1, (ACROSS + GAP) // width))
    down = -(-len(panels) // across)
    sheet = Image.new("RGB", (across * width - GAP, down * (height + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for number, (name, panel) in enumerate(panels.items()):
        left, top = number % across * width, number // across * (height + GAP)
        draw.text((left, top + 2), name, "black", font)
        sheet.paste(panel, (left, top + HEADING))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    shrink(path)


def _part(file: Path, part: "list[int] | tuple[int, ...]") -> Image.Image:
    left, top, width, height = part if len(part) == 4 else (0, 0, *part)
    with Image.open(file) as grid:
        right, bottom = min(left + width, grid.width), min(top + height, grid.height)
        return grid.convert("RGB").crop((left, top, right, bottom))
