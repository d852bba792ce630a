"""Start one network from the weights of another: whole, conditional from unconditional, in part."""

from collections.abc import Mapping

from torch import Tensor, nn

from lit_synth.contracts.generator import Generator
from lit_synth.errors import InputError
from lit_synth.networks.parts.norms import BatchNorm


def initialise_from(target: nn.Module, source: nn.Module) -> None:
    """Copy all weights of a network into one of the same architecture, or its conditional form.

    A conditional target starts from an unconditional source as in TransferGAN (thesis, chapter 2):
    class-wise batch norm gets the source's affine map for every class; what only reads or names
    labels (`class_...`: label inputs, classifier head, projection) keeps its random weights.

    Args:
        target: Network to change; it is unchanged if the copy is refused.
        source: Network to copy from.

    Raises:
        InputError: If any other tensor is missing, left over or of another shape.
    """
    _load(target, source.state_dict())


def fresh_critic(generator: Generator) -> str:
    """Return the options that give a method a new critic, without batch norm, of a GAN's images."""
    option = "--model.init_args.critic"
    family = "ResNetCritic" if generator.image_size <= 128 else "StyleGAN2Discriminator"
    return (
        f"{option} {family} {option}.init_args.image_size {generator.image_size} "
        f"{option}.init_args.image_channels {generator.image_channels}"
    )


def without_labels(critic: nn.Module) -> nn.Module:
    """Return a critic's unconditional form, images to scores (N,), with the weights it shares.

    Args:
        critic: Critic with a classifier head or projection; an unconditional one is returned as is.

    Returns:
        The critic without its layers for labels.

    Raises:
        InputError: If labels enter its other layers too.
    """
    arguments = vars(critic)["init_args"]
    if not arguments.get("num_classes"):
        return critic
    plain = type(critic)(**{**arguments, "num_classes": 0})
    tensors = critic.state_dict()
    try:
        _load(plain, {key: tensor for key, tensor in tensors.items() if not _is_for_labels(key)})
    except InputError as error:
        raise InputError(
            f"Labels enter the first layers of this {type(critic).__name__}, so that it has no "
            f"unconditional form; train an unconditional critic from scratch instead."
        ) from error
    return plain


def freeze_lowest(critic: nn.Module, layers: int) -> None:
    """Stop training the critic's layers next to the image (FreezeD, arXiv:2002.10964).

    Args:
        critic: Critic whose `body` is a sequence of layers or blocks from the image on.
        layers: How many of those with weights to freeze.

    Raises:
        InputError: If there are fewer.
    """
    body = critic.get_submodule("body") if layers else nn.Sequential()
    weighted = [layer for layer in body.children() if next(layer.parameters(), None) is not None]
    if not 0 <= layers <= len(weighted):
        raise InputError(
            f"Asked to freeze {layers} layers of {type(critic).__name__}, whose body has "
            f"{len(weighted)}; give a number from 0 to {len(weighted)}."
        )
    for layer in weighted[:layers]:
        layer.requires_grad_(False)


def _load(target: nn.Module, theirs: Mapping[str, Tensor]) -> None:
    ours = target.state_dict()
    name = type(target).__name__
    for key in theirs:
        if key not in ours:
            raise InputError(
                f"The source has a tensor '{key}' {tuple(theirs[key].shape)} that {name} lacks; "
                f"build the network with the source's arguments."
            )
    copied = {key: _fitted(target, key, ours[key], theirs.get(key)) for key in ours}
    target.load_state_dict(copied)


def _fitted(target: nn.Module, key: str, ours: Tensor, theirs: Tensor | None) -> Tensor:
    """Return what the target's tensor becomes."""
    if theirs is None and _is_for_labels(key):
        return ours
    if theirs is not None and theirs.shape == ours.shape:
        return theirs
    owner = target.get_submodule(key.rpartition(".")[0])
    tables = isinstance(owner, BatchNorm) and owner.num_classes
    if theirs is not None and tables and ours.shape == (owner.num_classes, *theirs.shape):
        return theirs.expand_as(ours)
    given = "none" if theirs is None else tuple(theirs.shape)
    raise InputError(
        f"Tensor '{key}' of {type(target).__name__} has shape {tuple(ours.shape)} but the source "
        f"has {given}; build the network with the source's arguments."
    )


def _is_for_labels(key: str) -> bool:
    return any(part.startswith("class_") for part in key.split("."))
