"""Full-size files of public layouts, by their keys and shapes alone, on the meta device."""

import pytest
import torch
from public_files import manifest, shapes

from lit_synth.networks.parts.rebuilding import WithoutRandomStart
from lit_synth.releases.importers import (
    bicyclegan,
    biggan,
    deeplab,
    munit,
    oasis,
    pgan,
    rosinality,
    seg2eye,
    spade,
    stargan_v2,
    stylegan2_ada,
)
from lit_synth.releases.importers.layout import Options, to_own, to_public
from lit_synth.releases.importers.states import StateDict

# A generator and its critic, where they are in a file, and files of several sizes.
FILES = {
    "biggan": (biggan, {"G_ema": "biggan_G_I128", "D": "biggan_D_I128"}),
    "pgan": (pgan, {"avgG": "pgan_G_256", "netD": "pgan_D_256"}),
    "rosinality-256": (rosinality, {"g_ema": "rosinality_G_256", "d": "rosinality_D_256"}),
    "rosinality-1024": (rosinality, {"g_ema": "rosinality_G_1024", "d": "rosinality_D_1024"}),
    "ada-256": (stylegan2_ada, {"G_ema": "sg2ada_G_256_paper256", "D": "sg2ada_D_256_paper256"}),
    "ada-1024": (stylegan2_ada, {"G_ema": "sg2ada_G_1024_configf", "D": "sg2ada_D_1024_configf"}),
    "deeplab": (deeplab, {"state_dict": "deeplab_resnet101_voc21"}),
    "bicyclegan": (
        bicyclegan,
        {"G": "bicycle_G_unet256", "E": "bicycle_E_resnet256", "D": "bicycle_D_256multi"},
    ),
    "munit": (munit, {"a": "munit_gen", "b": "munit_gen"}),
    "seg2eye": (seg2eye, {"G": "seg2eye_G", "E": "seg2eye_E", "D": "seg2eye_D"}),
    **{
        f"spade-{data}": (spade, {"G": f"spade_G_{data}", "D": f"spade_D_{data}"})
        for data in ("ade20k", "coco")
    },
    "spade-cityscapes": (
        spade,
        {"G": "spade_G_cityscapes", "D": "spade_D_cityscapes", "E": "spade_E_256"},
    ),
    **{
        f"oasis-{data}": (oasis, {"G": f"oasis_G_{data}", "D": f"oasis_D_{data}"})
        for data in ("ade20k", "cityscapes", "coco")
    },
}
STARGAN_V2 = {
    "mapping_network": "stargan2_mapping_3dom",
    "style_encoder": "stargan2_style_256_3dom",
    "discriminator": "stargan2_disc_256_3dom",
}
FILES |= {
    f"stargan-v2{which}": (
        stargan_v2,
        {"generator": f"stargan2_generator_256{which}", **STARGAN_V2},
    )
    for which in ("", "_hpf1")
}
W_AVG = "../latent_avg"


def state_of(name, place):
    tensors = {k: torch.empty(s, device="meta") for k, s in manifest(name).items()}
    beside = {"latent_avg": torch.empty(512, device="meta")} if name.startswith("ros") else {}
    return StateDict(place, tensors, beside=beside)


@pytest.mark.parametrize("file", FILES)
def test_every_key_of_a_public_file_is_used_and_written_again(file):
    layout, places = FILES[file]
    states = [state_of(name, place) for place, name in places.items()]
    found = layout.read(states, Options())
    assert found.parts.keys() == places.keys()
    networks = {}
    for state in states:
        part = found.parts[state.path]
        for name in to_own(part, found.tensors.get(state.path, state.tensors), state.path):
            cls, init_args = part.networks[name]
            with torch.device("meta"), WithoutRandomStart():
                networks[name] = cls(**init_args)
    written = layout.write(networks)
    assert written.keys() == places.keys()
    own = {f"{n}.{k}": t for n, net in networks.items() for k, t in net.state_dict().items()}
    for place, part in written.items():
        made = shapes(to_public(part, own) | {k: t for k, t in part.inert.items() if t is not None})
        made.pop(W_AVG, None)
        assert made == manifest(places[place])


def test_sizes_are_read_from_shapes():
    found = stylegan2_ada.read([state_of("sg2ada_G_256_paper256", "G_ema")], Options())
    init_args = found.parts["G_ema"].networks["generator"][1]
    assert init_args["image_size"] == 256
    assert init_args["channel_base"] == 16384
    assert init_args["mapping_layers"] == 8
    found = biggan.read([state_of("biggan_G_I128", "")], Options())
    assert found.parts[""].networks["generator"][1] == {
        "image_size": 128,
        "image_channels": 3,
        "latent_dim": 120,
        "width": 96,
        "num_classes": 1000,
        "class_dim": 128,
        "attention": [64],
    }


def test_counts_of_stargan_v2_are_those_that_its_authors_tell():
    places = FILES["stargan-v2_hpf1"][1]
    found = stargan_v2.read([state_of(name, place) for place, name in places.items()], Options())
    counts = []
    for part in found.parts.values():
        ((cls, init_args),) = part.networks.values()
        with torch.device("meta"):
            network = cls(**init_args | ({"n_domains": 2} if "n_domains" in init_args else {}))
        counts.append(sum(p.numel() for p in network.parameters()))
    assert counts == [43_467_395, 2_438_272, 20_916_928, 20_852_290]


def test_counts_of_parameters_are_those_that_the_authors_code_prints():
    counts = []
    for name, place in {"biggan_G_I128": "", "biggan_D_I128": "D"}.items():
        states = [state_of("biggan_G_I128", "G"), state_of(name, place)][-1 if not place else 0 :]
        part = biggan.read(states, Options()).parts[place]
        ((cls, init_args),) = part.networks.values()
        with torch.device("meta"), WithoutRandomStart():
            counts.append(sum(p.numel() for p in cls(**init_args).parameters()))
    assert counts == [70_433_988, 87_982_370]
