"""A quicker start: torchmetrics, which Lightning imports, without what none of our runs uses."""

import sys

UNUSED = ("torchvision", "scipy", "matplotlib", "transformers")


def import_torchmetrics() -> None:
    """Import torchmetrics without the packages that only some of its metrics need.

    Lightning imports all of torchmetrics, and with it torchvision's models, scipy's signals and
    matplotlib's windows, for metrics that no run of ours computes. For the rest of this process
    those metrics say that the packages are not installed; everyone else imports them as ever.
    """
    if "torchmetrics" in sys.modules:
        return
    from lightning_utilities.core import imports

    class Used(imports.RequirementCache):
        """A requirement that is not met by what is unused."""

        def __bool__(self) -> bool:
            return (self.requirement or "").split(">")[0] not in UNUSED and super().__bool__()

    own, imports.RequirementCache = imports.RequirementCache, Used
    try:
        import torchmetrics  # noqa: F401
    finally:
        imports.RequirementCache = own
