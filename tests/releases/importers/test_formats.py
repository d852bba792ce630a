"""Tiny files in each public layout: what becomes of them draws as plain formulas say, and back."""

import types

import pytest
import stylegan2_plainly as plainly
import torch
import torch.nn.functional as F
from public_files import (
    filled,
    network,
    persistent,
    write_nvidia,
    write_pgan,
    write_tensorflow,
)
from safetensors.torch import save_file
from torch import nn

from lit_synth.contracts.translator import Translation
from lit_synth.inference.ask import translate
from lit_synth.inference.loading import load_method
from lit_synth.networks.biggan import BigGANCritic, BigGANGenerator
from lit_synth.networks.dcgan import DCGANCritic, DCGANGenerator
from lit_synth.networks.munit import ContentEncoder, StyleDecoder, StyleEncoder
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.exporters.public import export_tensors, public_content
from lit_synth.releases.format import load_release
from lit_synth.releases.importers import biggan, dcgan, munit, pgan, rosinality, stylegan2_ada
from lit_synth.releases.importers.files import read_weights
from lit_synth.releases.importers.layout import Options, to_public
from lit_synth.releases.importers.recognise import LAYOUTS, import_networks
from lit_synth.reports.imported import write_release


def public(layout, **networks):
    """State dicts of a layout's file for networks of ours, filled with random numbers."""
    filled_ones = {name: filled(net, seed) for seed, (name, net) in enumerate(networks.items())}
    own = {f"{n}.{k}": t for n, net in filled_ones.items() for k, t in net.state_dict().items()}
    parts = layout.write(filled_ones)
    made = {place: to_public(part, own) for place, part in parts.items()}
    return {
        place: {k: t.clone() for k, t in state.items()}
        | {k: t for k, t in parts[place].inert.items() if t is not None}
        for place, state in made.items()
    }


def back(imported, folder, layout_name, file="file"):
    """Write the release, then what it is in a public layout."""
    write_release(imported, file, "test", folder)
    layout = next(layout for layout in LAYOUTS if layout.name == layout_name)
    return public_content(load_release(folder), layout)


def assert_same(made, given):
    assert made.keys() == given.keys()
    for key, value in given.items():
        if isinstance(value, dict):
            assert_same(made[key], value)
        else:
            assert made[key].dtype == value.dtype
            assert torch.equal(made[key], value), key


def close(a, b, tolerance=1e-4):
    torch.testing.assert_close(a.double(), b.double(), rtol=tolerance, atol=tolerance)


# DCGAN


def dcgan_pair():
    return public(
        dcgan,
        generator=DCGANGenerator(image_size=16, latent_dim=4, width=2),
        critic=DCGANCritic(image_size=16, width=2),
    )


def dcgan_plainly(state, z):
    h = z[:, :, None, None]
    for i in (0, 3):
        options = {"stride": 2, "padding": 1} if i else {}
        h = F.conv_transpose2d(h, state[f"main.{i}.weight"], **options)
        mean, var = (state[f"main.{i + 1}.running_{s}"][:, None, None] for s in ("mean", "var"))
        weight, bias = (state[f"main.{i + 1}.{k}"][:, None, None] for k in ("weight", "bias"))
        h = ((h - mean) / (var + 1e-5).sqrt() * weight + bias).relu()
    return F.conv_transpose2d(h, state["main.6.weight"], stride=2, padding=1).tanh()


@pytest.mark.parametrize("key", ["", "netG", "state_dict", "generator", "G.model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_dcgan_under_any_key(tmp_path, key, prefix):
    state = dcgan_pair()["netG"]
    content = {f"{prefix}{k}": t for k, t in state.items()}
    for word in reversed(key.split(".") if key else []):
        content = {word: content, "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}
    torch.save(content, tmp_path / "g.pth")
    imported = import_networks(tmp_path / "g.pth", Options())
    assert list(imported.networks) == ["generator"]
    z = torch.randn(3, 4)
    close(imported.networks["generator"](z), dcgan_plainly(state, z))


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_dcgan_with_critic_and_back(tmp_path, form):
    content, path = dcgan_pair(), tmp_path / "both.pth"
    if form == "safetensors":
        save_file({f"{p}.{k}": t for p, state in content.items() for k, t in state.items()}, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    imported = import_networks(path, Options())
    assert imported.networks.keys() == {"generator", "critic"}
    assert_same(back(imported, tmp_path / "r", "dcgan"), content)
    export_tensors(tmp_path / "r", "dcgan", tmp_path / "out.safetensors")
    assert_same(read_weights(tmp_path / "out.safetensors"), content)


def test_dcgan_of_before_batches_were_counted(tmp_path):
    state = {k: t for k, t in dcgan_pair()["netG"].items() if "tracked" not in k}
    torch.save(state, tmp_path / "g.pth")
    imported = import_networks(tmp_path / "g.pth", Options())
    assert_same(back(imported, tmp_path / "r", "dcgan"), state)


# Translators


class Block(nn.Module):
    def __init__(self, w, affine, dropout):
        super().__init__()
        drop = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(w, w, 3), nn.InstanceNorm2d(w, affine=affine),
            nn.ReLU(), *drop,
            nn.ReflectionPad2d(1), nn.Conv2d(w, w, 3), nn.InstanceNorm2d(w, affine=affine),
        )  # fmt: skip

    def forward(self, x):
        return x + self.conv_block(x)


def resnet(w=4, n=2, affine=False, dropout=False):
    def normed(c):
        return [nn.InstanceNorm2d(c, affine=affine), nn.ReLU()]

    net = nn.Module()
    net.model = nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *normed(w),
        nn.Conv2d(w, 2 * w, 3, 2, 1), *normed(2 * w),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), *normed(4 * w),
        *[Block(4 * w, affine, dropout) for _ in range(n)],
        nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), *normed(2 * w),
        nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), *normed(w),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh(),
    )  # fmt: skip
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    return net.eval()


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("n", [2, 6, 9])
def test_cyclegan(tmp_path, affine, n):
    net, x = resnet(n=n, affine=affine, w=2), torch.rand(2, 3, 16, 16) * 2 - 1
    torch.save(net.state_dict(), tmp_path / "latest_net_G.pth")
    imported = import_networks(tmp_path / "latest_net_G.pth", Options())
    close(imported.networks["generator"](x), net.model(x), 1e-3)
    assert_same(back(imported, tmp_path / "r", "cyclegan"), net.state_dict())


def test_cyclegan_with_dropout_and_of_before_pytorch_04(tmp_path):
    net, x = resnet(dropout=True), torch.rand(2, 3, 16, 16) * 2 - 1
    torch.save(net.state_dict(), tmp_path / "g.pth")
    imported = import_networks(tmp_path / "g.pth", Options())
    close(imported.networks["generator"](x), net.model(x), 1e-3)
    assert "dropout" in imported.notes[0]
    state = resnet().state_dict()
    for place in (2, 5, 8, 13, 16):
        state |= {f"model.{place}.running_{s}": torch.rand(3) for s in ("mean", "var")}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    imported = import_networks(tmp_path / "old.pth", Options())
    assert_same(back(imported, tmp_path / "r", "cyclegan"), state)


class Level(nn.Module):
    """A level of pix2pix's U-Net, written from its paper and the places of its layers."""

    def __init__(self, outer, inner, below=None, outermost=False):
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1, bias=False)
        up = nn.ConvTranspose2d(
            inner if below is None else 2 * inner, outer, 4, 2, 1, bias=outermost
        )
        if outermost:
            layers = [down, below, nn.ReLU(), up, nn.Tanh()]
        elif below is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.BatchNorm2d(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, nn.BatchNorm2d(inner), below, nn.ReLU(), up]
            layers.append(nn.BatchNorm2d(outer))
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


@pytest.mark.parametrize("size", [16, 128, 256])
def test_pix2pix(tmp_path, size):
    widths = [2 * min(8, 2**i) for i in range(size.bit_length() - 1)]
    level = None
    for outer, inner in zip(widths[-2::-1], widths[:0:-1], strict=True):
        level = Level(outer, inner, level)
    net = nn.Module()
    net.model = Level(3, widths[0], level, outermost=True)
    filled(net).eval()
    net.model.model[0].weight.data *= 0.1
    x = torch.rand(1, 3, size, size) * 2 - 1
    torch.save(net.state_dict(), tmp_path / "latest_net_G.pth")
    imported = import_networks(tmp_path / "latest_net_G.pth", Options())
    assert imported.layout.name == "pix2pix"
    close(imported.networks["generator"](x), net.model(x), 1e-3)
    assert_same(back(imported, tmp_path / "r", "pix2pix"), net.state_dict())


def munit_networks(domain):
    style = {"style_dim": 3, "mlp_dim": 5}
    return {
        f"content_encoder_{domain}": ContentEncoder(width=2, n_blocks=2),
        f"style_encoder_{domain}": StyleEncoder(widths=(2, 4, 4), style_dim=3),
        f"decoder_{domain}": StyleDecoder(width=2, n_blocks=2, shared_style=False, **style),
    }


def munit_plainly(state, x, style):
    """G(E_c(x), s), straight from the keys of the file."""

    def conv(h, key, pad, stride=1):
        bias = state.get(f"{key}.conv.bias")
        return F.conv2d(F.pad(h, [pad] * 4, "reflect"), state[f"{key}.conv.weight"], bias, stride)

    def instance(h):
        return F.instance_norm(h, eps=1e-5)

    h = instance(conv(x, "enc_content.model.0", 3)).relu()
    for i in (1, 2):
        h = instance(conv(h, f"enc_content.model.{i}", 1, 2)).relu()
    for b in range(2):
        key = f"enc_content.model.3.model.{b}.model"
        h = h + instance(conv(instance(conv(h, f"{key}.0", 1)).relu(), f"{key}.1", 1))
    for i in range(3):
        key = f"mlp.model.{i}.fc"
        style = style @ state[f"{key}.weight"].T + state[f"{key}.bias"]
        style = style.relu() if i < 2 else style
    parts = iter(style.split(8, dim=1))  # of each norm the shift first, then the scale

    def adain(h):
        shift, scale = next(parts), next(parts)
        return instance(h) * scale[:, :, None, None] + shift[:, :, None, None]

    for b in range(2):
        key = f"dec.model.0.model.{b}.model"
        inner = adain(conv(h, f"{key}.0", 1)).relu()
        h = h + adain(conv(inner, f"{key}.1", 1))
    for i in (2, 4):
        h = conv(F.interpolate(h, scale_factor=2), f"dec.model.{i}", 2)
        mean, std = h.mean((1, 2, 3), keepdim=True), h.std((1, 2, 3), keepdim=True)
        gamma, beta = (state[f"dec.model.{i}.norm.{k}"][:, None, None] for k in ("gamma", "beta"))
        h = ((h - mean) / (std + 1e-5) * gamma + beta).relu()
    return conv(h, "dec.model.5", 3).tanh()


def test_munit(tmp_path):
    content = public(munit, **munit_networks("a"), **munit_networks("b"))
    for state in content.values():  # the norms cancel them, and the file has them all the same
        for key, tensor in state.items():
            if key.endswith("conv.bias"):
                tensor.normal_()
    torch.save(content, tmp_path / "gen_1.pt")
    imported = import_networks(tmp_path / "gen_1.pt", Options())
    nets, x, s = imported.networks, torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 3)
    for domain in "ab":
        made = nets[f"decoder_{domain}"](nets[f"content_encoder_{domain}"](x), s)
        close(made, munit_plainly(content[domain], x, s), 1e-3)
    assert_same(back(imported, tmp_path / "r", "munit"), content)
    method = load_method(tmp_path / "r")
    there = translate(method, {"a": x, "style": s}, Translation(("a",), ("b",)))
    c = nets["content_encoder_a"](x)
    torch.testing.assert_close(there, nets["decoder_b"](c, s), atol=1e-5, rtol=1e-4)


# PGAN


def pgan_pair():
    channels = [6, 5, 4]
    return public(
        pgan,
        generator=PGANGenerator(channels, latent_dim=7),
        critic=PGANCritic(channels),
    )


def pgan_plainly(state, z):
    def layer(h, key, pad=0):
        w, b = state[f"{key}.module.weight"].double(), state[f"{key}.module.bias"].double()
        y = h @ w.T if w.dim() == 2 else F.conv2d(h, w, padding=pad)
        y = y + b.reshape(-1, *[1] * (w.dim() - 2))
        return y * (2 / w[0].numel()) ** 0.5

    def normed(h):
        return h / (h.square().mean(1, keepdim=True) + 1e-8).sqrt()

    h = F.leaky_relu(layer(normed(z.double()), "formatLayer"), 0.2).reshape(len(z), -1, 4, 4)
    h = normed(F.leaky_relu(layer(normed(h), "groupScale0.0", 1), 0.2))
    for i in range(2):
        h = F.interpolate(h, scale_factor=2)
        for j in range(2):
            h = normed(F.leaky_relu(layer(h, f"scaleLayers.{i}.{j}", 1), 0.2))
    return layer(h, "toRGBLayers.2")


@pytest.mark.parametrize("older", [False, True])
def test_pgan(tmp_path, older):
    content, z = pgan_pair(), torch.randn(3, 7)
    given = {
        place: {k.replace(".module", "") if older else k: t for k, t in state.items()}
        for place, state in content.items()
    }
    write_pgan(tmp_path / "p.pth", {**given, "netG": given["avgG"]}, alpha=0.0, equalizedlR=True)
    imported = import_networks(tmp_path / "p.pth", Options())
    assert imported.networks.keys() == {"generator", "critic"}
    close(imported.networks["generator"](z), pgan_plainly(content["avgG"], z))
    assert_same(back(imported, tmp_path / "r", "pgan"), content)


# BigGAN


def biggan_pair():
    return public(
        biggan,
        generator=BigGANGenerator(64, 3, 10, 2, 5, 3, (16,)),
        critic=BigGANCritic(64, 3, 2, 5, (32,)),
    )


def biggan_plainly(state, z, label):
    state = {key: tensor.double() for key, tensor in state.items()}

    def weight(key):
        w = state[f"{key}.weight"]
        m = w.reshape(len(w), -1)
        v = F.normalize(state[f"{key}.u0"] @ m, eps=1e-6)
        return w / (v @ m.T @ F.normalize(v @ m.T, eps=1e-6).T)

    def conv(h, key):
        w = weight(key)
        return F.conv2d(h, w, state.get(f"{key}.bias"), padding=w.shape[-1] // 2)

    def normed(h, key):
        mean, var = (state[f"{key}.stored_{s}"][:, None, None] for s in ("mean", "var"))
        return (h - mean) / (var + 1e-5).sqrt()

    def conditioned(h, key, y):
        gain, bias = (y @ weight(f"{key}.{k}").T for k in ("gain", "bias"))
        return normed(h, key) * (1 + gain[:, :, None, None]) + bias[:, :, None, None]

    chunks, y = z.double().split(2, 1), state["shared.weight"][label]
    h = (chunks[0] @ weight("linear").T + state["linear.bias"]).reshape(len(z), -1, 4, 4)
    for b in range(4):
        key, given = f"blocks.{b}.0", torch.cat([y, chunks[b + 1]], 1)
        up = F.interpolate(conditioned(h, f"{key}.bn1", given).relu(), scale_factor=2)
        inner = conditioned(conv(up, f"{key}.conv1"), f"{key}.bn2", given).relu()
        h = conv(inner, f"{key}.conv2") + conv(F.interpolate(h, scale_factor=2), f"{key}.conv_sc")
        if f"blocks.{b}.1.gamma" in state:
            key = f"blocks.{b}.1"
            theta = conv(h, f"{key}.theta").flatten(2)
            phi, g = (F.max_pool2d(conv(h, f"{key}.{k}"), 2).flatten(2) for k in ("phi", "g"))
            mixed = g @ (theta.transpose(1, 2) @ phi).softmax(-1).transpose(1, 2)
            h = h + state[f"{key}.gamma"] * conv(
                mixed.reshape(len(z), -1, *h.shape[2:]), f"{key}.o"
            )
    gain, bias = (state[f"output_layer.0.{k}"][:, None, None] for k in ("gain", "bias"))
    return conv((normed(h, "output_layer.0") * gain + bias).relu(), "output_layer.2").tanh()


def test_biggan(tmp_path):
    content, folder = biggan_pair(), tmp_path / "weights"
    folder.mkdir()
    for place, state in content.items():
        torch.save(state, folder / f"{place}.pth")
    torch.save(content["G_ema"], folder / "G.pth")
    torch.save({"state": {}}, folder / "G_optim.pth")
    torch.save({"itr": 138000}, folder / "state_dict.pth")
    imported = import_networks(folder, Options())
    z, label = torch.randn(3, 10), torch.tensor([0, 4, 2])
    made = imported.networks["generator"](z, label)
    close(made, biggan_plainly(content["G_ema"], z, label))
    assert_same(back(imported, tmp_path / "r", "biggan"), content)
    export_tensors(tmp_path / "r", "biggan", tmp_path / "again")
    again = import_networks(tmp_path / "again", Options())
    assert_same(again.networks["critic"].state_dict(), imported.networks["critic"].state_dict())
    alone = import_networks(folder / "G_ema.pth", Options())
    assert torch.equal(alone.networks["generator"](z, label), made)


# StyleGAN2


def ada_pair(classes=0):
    plan = {"channel_base": 64, "channel_max": 6}
    return public(
        stylegan2_ada,
        generator=StyleGAN2Generator(16, 3, 5, 4, **plan, mapping_layers=3, num_classes=classes),
        critic=StyleGAN2Discriminator(
            16, 3, **plan, num_classes=classes, mapping_layers=2, class_dim=3 if classes else None
        ),
    )


def tree(state):
    """Keys of NVIDIA's as the attributes that the plain formulas read."""
    renamed = {"affine": "style", "torgb": "to_rgb", "embed": "class_embedding"}
    root = types.SimpleNamespace()
    for key, tensor in state.items():
        node, (*words, last) = root, [renamed.get(word, word) for word in key.split(".")]
        for word in words:
            if not hasattr(node, word):
                setattr(node, word, types.SimpleNamespace())
            node = getattr(node, word)
        setattr(node, last, tensor.double())
    return root


def synthesis_of(state):
    root = tree(state)
    blocks = {k[1:]: b for k, b in vars(root.synthesis).items()}
    const = root.synthesis.b4.const
    layers = [b for k, b in vars(root.mapping).items() if k.startswith("fc")]
    root.mapping.body = layers
    return root, types.SimpleNamespace(const=const, blocks=blocks)


def ada_plainly(state, z, label=None, psi=1.0):
    root, synthesis = synthesis_of(state)
    vector = None if label is None else plainly.class_vector(root.mapping, label)
    w = plainly.mapped(root.mapping, z.double(), vector)
    w = root.mapping.w_avg + psi * (w - root.mapping.w_avg)
    return plainly.synthesised(synthesis, w[:, None].expand(-1, 6, -1))


def nvidia_settings(**more):
    return {"z_dim": 5, "c_dim": 0, "w_dim": 4, "synthesis_kwargs": {"channel_base": 64, **more}}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("classes", [0, 3])
def test_stylegan2_of_nvidia(tmp_path, protocol, classes):
    content = ada_pair(classes)
    networks = {
        "G": persistent("Generator", ada_pair(classes)["G_ema"], nvidia_settings()),
        "D": persistent(
            "Discriminator", content["D"], {"epilogue_kwargs": {"mbstd_group_size": 2}}
        ),
        "G_ema": persistent("Generator", content["G_ema"], nvidia_settings()),
    }
    write_nvidia(tmp_path / "n.pkl", networks, protocol)
    imported = import_networks(tmp_path / "n.pkl", Options())
    generator, z = imported.networks["generator"], torch.randn(2, 5)
    label = torch.tensor([2, 0]) if classes else None
    close(generator(z, label), ada_plainly(content["G_ema"], z, label), 1e-3)
    close(generator(z, label, 0.5), ada_plainly(content["G_ema"], z, label, 0.5), 1e-3)
    assert imported.networks["critic"].deviation.group == 2
    assert imported.not_taken == ["G"]
    assert_same(back(imported, tmp_path / "r", "stylegan2-ada"), content)


def test_bounds_of_features_are_read(tmp_path):
    state = ada_pair()["G_ema"]
    stylegan3 = {"z_dim": 5, "channel_base": 64, "mapping_kwargs": {}}
    cases = [
        (nvidia_settings(conv_clamp=256), None, 256.0),
        (nvidia_settings(), None, None),
        (stylegan3, None, 256.0),  # its code's default
        ({**stylegan3, "conv_clamp": None}, None, None),
        (nvidia_settings(), 9.0, 9.0),
    ]
    for settings, option, clamp in cases:
        write_nvidia(tmp_path / "n.pkl", {"G_ema": persistent("Generator", state, settings)})
        imported = import_networks(tmp_path / "n.pkl", Options(clamp=option))
        assert imported.networks["generator"].init_args["clamp"] == clamp


def rosinality_of(ada):
    """The same networks under rosinality's keys, by the sizes of layers."""
    g, d, found, judge = ada["G_ema"], ada["D"], {}, {}
    for i in range(3):
        for k in ("weight", "bias"):
            found[f"style.{i + 1}.{k}"] = g[f"mapping.fc{i}.{k}"]
    found["input.input"] = g["synthesis.b4.const"][None]
    fir = g["synthesis.b4.resample_filter"] * 4
    places = {"conv1": "b4.conv1", "convs.0": "b8.conv0", "convs.1": "b8.conv1"}
    places |= {"convs.2": "b16.conv0", "convs.3": "b16.conv1"}
    for n, (own, theirs) in enumerate(places.items()):
        key = f"synthesis.{theirs}"
        found[f"{own}.conv.weight"] = g[f"{key}.weight"][None]
        for k in ("weight", "bias"):
            found[f"{own}.conv.modulation.{k}"] = g[f"{key}.affine.{k}"]
        found[f"{own}.noise.weight"] = g[f"{key}.noise_strength"][None]
        found[f"{own}.activate.bias"] = g[f"{key}.bias"]
        found[f"noises.noise_{n}"] = g[f"{key}.noise_const"][None, None]
        if theirs.endswith("conv0"):
            found[f"{own}.conv.blur.kernel"] = fir
    for own, size in {"to_rgb1": 4, "to_rgbs.0": 8, "to_rgbs.1": 16}.items():
        key = f"synthesis.b{size}.torgb"
        found[f"{own}.bias"] = g[f"{key}.bias"][None, :, None, None]
        found[f"{own}.conv.weight"] = g[f"{key}.weight"][None]
        for k in ("weight", "bias"):
            found[f"{own}.conv.modulation.{k}"] = g[f"{key}.affine.{k}"]
        if size > 4:
            found[f"{own}.upsample.kernel"] = fir
    judge |= {"convs.0.0.weight": d["b16.fromrgb.weight"], "convs.0.1.bias": d["b16.fromrgb.bias"]}
    for i, size in enumerate((16, 8), 1):
        judge |= {
            f"convs.{i}.conv1.0.weight": d[f"b{size}.conv0.weight"],
            f"convs.{i}.conv1.1.bias": d[f"b{size}.conv0.bias"],
            f"convs.{i}.conv2.0.kernel": fir / 4,
            f"convs.{i}.conv2.1.weight": d[f"b{size}.conv1.weight"],
            f"convs.{i}.conv2.2.bias": d[f"b{size}.conv1.bias"],
            f"convs.{i}.skip.0.kernel": fir / 4,
            f"convs.{i}.skip.1.weight": d[f"b{size}.skip.weight"],
        }
    judge |= {"final_conv.0.weight": d["b4.conv.weight"], "final_conv.1.bias": d["b4.conv.bias"]}
    for own, theirs in {"final_linear.0": "b4.fc", "final_linear.1": "b4.out"}.items():
        judge |= {f"{own}.{k}": d[f"{theirs}.{k}"] for k in ("weight", "bias")}
    return {"g_ema": found, "d": judge, "latent_avg": g["mapping.w_avg"]}


def test_stylegan2_of_rosinality_is_nvidias(tmp_path):
    ada = ada_pair()
    content = rosinality_of(ada)
    trained = {**content, "g": content["g_ema"], "g_optim": {"state": {}}, "ada_aug_p": 0.0}
    torch.save(trained, tmp_path / "r.pt")
    imported = import_networks(tmp_path / "r.pt", Options())
    z = torch.randn(2, 5)
    close(imported.networks["generator"](z), ada_plainly(ada["G_ema"], z), 1e-3)
    assert_same(back(imported, tmp_path / "r", "rosinality"), content)
    as_nvidia = next(layout for layout in LAYOUTS if layout.name == "stylegan2-ada")
    assert_same(public_content(load_release(tmp_path / "r"), as_nvidia), ada)


def test_nvidias_can_be_written_as_rosinalitys(tmp_path):
    ada = ada_pair()
    torch.save(ada, tmp_path / "ada.pth")
    imported = import_networks(tmp_path / "ada.pth", Options())
    assert "--clamp" in imported.notes[0]  # which a file of plain tensors does not tell
    assert_same(back(imported, tmp_path / "r", "rosinality"), rosinality_of(ada))


def test_rosinality_without_noise_and_mean(tmp_path):
    content = rosinality_of(ada_pair())
    bare = {k: t for k, t in content["g_ema"].items() if not k.startswith("noises")}
    torch.save({"g_ema": bare}, tmp_path / "r.pt")
    imported = import_networks(tmp_path / "r.pt", Options())
    generator = imported.networks["generator"]
    w = generator.mapping(torch.randn(4000, 5), None).mean(0)
    torch.testing.assert_close(generator.w_avg, w, atol=0.1, rtol=0.1)
    assert len(imported.notes) == 2
    assert_same(back(imported, tmp_path / "r", "rosinality"), {"g_ema": bare})


def tensorflow_of(ada):
    """The same networks as TensorFlow's variables, by what NVIDIA says of their order."""
    g, d = ada["G_ema"], ada["D"]
    conv = {k: t.permute(2, 3, 1, 0) for k, t in {**g, **d}.items() if t.dim() == 4}
    found = {"dlatent_avg": g["mapping.w_avg"], "synthesis/lod": torch.zeros(())}
    found["synthesis/4x4/Const/const"] = g["synthesis.b4.const"][None]

    def styled(name, key, flip=False):
        weight = conv[f"{key}.weight"]
        found[f"{name}/weight"] = weight.flip(0, 1) if flip else weight
        found[f"{name}/bias"] = g[f"{key}.bias"]
        found[f"{name}/mod_weight"] = g[f"{key}.affine.weight"].T
        found[f"{name}/mod_bias"] = g[f"{key}.affine.bias"] - 1

    for i in range(3):
        found[f"mapping/Dense{i}/weight"] = g[f"mapping.fc{i}.weight"].T
        found[f"mapping/Dense{i}/bias"] = g[f"mapping.fc{i}.bias"]
    layers = [(4, "conv1", "Conv"), (8, "conv0", "Conv0_up"), (8, "conv1", "Conv1")]
    layers += [(16, "conv0", "Conv0_up"), (16, "conv1", "Conv1")]
    for n, (size, own, name) in enumerate(layers):
        styled(f"synthesis/{size}x{size}/{name}", f"synthesis.b{size}.{own}", own == "conv0")
        key = f"synthesis.b{size}.{own}"
        found[f"synthesis/{size}x{size}/{name}/noise_strength"] = g[f"{key}.noise_strength"]
        found[f"synthesis/noise{n}"] = g[f"{key}.noise_const"][None, None]
    for size in (4, 8, 16):
        styled(f"synthesis/{size}x{size}/ToRGB", f"synthesis.b{size}.torgb")
    judge = {}
    places = {"16x16/FromRGB": "b16.fromrgb", "4x4/Conv": "b4.conv"}
    for size in (16, 8):
        places |= {f"{size}x{size}/Conv0": f"b{size}.conv0"}
        places |= {f"{size}x{size}/Conv1_down": f"b{size}.conv1"}
        judge[f"{size}x{size}/Skip/weight"] = conv[f"b{size}.skip.weight"]
    for name, key in places.items():
        judge |= {f"{name}/weight": conv[f"{key}.weight"], f"{name}/bias": d[f"{key}.bias"]}
    for name, key in {"4x4/Dense0": "b4.fc", "Output": "b4.out"}.items():
        judge |= {f"{name}/weight": d[f"{key}.weight"].T, f"{name}/bias": d[f"{key}.bias"]}
    return found, judge


@pytest.mark.parametrize("protocol", [2, 4])
def test_stylegan2_of_tensorflow_is_nvidias(tmp_path, protocol):
    ada = ada_pair()
    g, d = tensorflow_of(ada)
    settings = {"resolution": 16, "architecture": "skip", "fmap_base": 32}
    networks = [
        network("G_main", {k: t * 2 for k, t in g.items()}, settings),
        network("D_stylegan2", d, {"mbstd_group_size": 2}),
        network("G_main", g, settings),
    ]
    write_tensorflow(tmp_path / "t.pkl", networks, protocol)
    imported = import_networks(tmp_path / "t.pkl", Options())
    z = torch.randn(2, 5)
    close(imported.networks["generator"](z), ada_plainly(ada["G_ema"], z), 1e-3)
    as_nvidia = back(imported, tmp_path / "r", "stylegan2-ada")
    assert as_nvidia["D"].keys() == ada["D"].keys()
    for key, tensor in ada["D"].items():
        assert torch.equal(as_nvidia["D"][key], tensor)
    for key, tensor in ada["G_ema"].items():
        torch.testing.assert_close(as_nvidia["G_ema"][key], tensor, atol=1e-6, rtol=1e-6)


def test_several_networks_of_a_kind_ask_which(tmp_path):
    states = {name: resnet().state_dict() for name in ("netG_A", "netG_B")}
    torch.save(states, tmp_path / "both.pth")
    with pytest.raises(ValueError, match="choose one with --key"):
        import_networks(tmp_path / "both.pth", Options())
    taken = import_networks(tmp_path / "both.pth", Options(key="netG_B"))
    own = taken.networks["generator"].state_dict()
    assert torch.equal(own["body.0.weight"], states["netG_B"]["model.1.weight"])
    with pytest.raises(ValueError, match="netG_C"):
        import_networks(tmp_path / "both.pth", Options(key="netG_C"))


def test_constants_of_another_filter_are_refused(tmp_path):
    content = rosinality_of(ada_pair())
    content["g_ema"]["convs.0.conv.blur.kernel"] = torch.ones(4, 4)
    torch.save(content, tmp_path / "r.pt")
    with pytest.raises(ValueError, match=r"convs\.0\.conv\.blur\.kernel"):
        import_networks(tmp_path / "r.pt", Options())
    assert rosinality.LAYOUT.name == "rosinality"
