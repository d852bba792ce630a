"""DINOv2 and CLIP from small files in their public layouts, against a plain transformer."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from lit_synth.errors import InputError
from lit_synth.features import clip, dinov2
from lit_synth.features.base import extract
from lit_synth.features.choice import load_extractor

WIDTH, DEPTH, PATCH, HEADS = 128, 2, 14, 2


def tensors(seed=0, **shapes):
    rng = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=rng) for name, shape in shapes.items()}


def dinov2_state(grid):
    """Return weights of two blocks under the authors' names."""
    d = WIDTH
    shapes = {
        "cls_token": (1, 1, d),
        "pos_embed": (1, 1 + grid**2, d),
        "mask_token": (1, d),
        "patch_embed.proj.weight": (d, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (d,),
        "norm.weight": (d,),
        "norm.bias": (d,),
    }
    for index in range(DEPTH):
        block = {"attn.qkv": (3 * d, d), "attn.proj": (d, d), "mlp.fc1": (4 * d, d)}
        block |= {"mlp.fc2": (d, 4 * d), "norm1": (d,), "norm2": (d,)}
        for name, shape in block.items():
            shapes[f"blocks.{index}.{name}.weight"] = shape
            shapes[f"blocks.{index}.{name}.bias"] = shape[:1]
        shapes |= {f"blocks.{index}.ls{n}.gamma": (d,) for n in (1, 2)}
    return tensors(**shapes)


def attended(x, qkv_weight, qkv_bias, out_weight, out_bias):
    """Return multi-head self-attention of x (N, T, D) as written in the transformer's paper."""
    n, t, d = x.shape
    qkv = (x @ qkv_weight.T + qkv_bias).reshape(n, t, 3, HEADS, d // HEADS)
    q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
    weights = (q @ k.transpose(-1, -2) / (d // HEADS) ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).reshape(n, t, d) @ out_weight.T + out_bias


def test_dinov2_equals_its_formula(tmp_path):
    state = dinov2_state(grid=16)
    torch.save(state, tmp_path / "dinov2_tiny14_pretrain.pth")
    extractor = load_extractor(f"dinov2:{tmp_path / 'dinov2_tiny14_pretrain.pth'}")
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1

    w = {name: value.double() for name, value in state.items()}
    mean, std = (torch.tensor(v).double()[:, None, None] for v in (dinov2.MEAN, dinov2.STD))
    x = ((images.double() + 1) / 2 - mean) / std
    x = F.conv2d(x, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=PATCH)
    x = torch.cat([w["cls_token"].expand(2, 1, -1), x.flatten(2).transpose(1, 2)], 1)
    x = x + w["pos_embed"]
    for index in range(DEPTH):
        b = {k.removeprefix(f"blocks.{index}."): v for k, v in w.items() if f"s.{index}." in k}
        y = F.layer_norm(x, (WIDTH,), b["norm1.weight"], b["norm1.bias"], 1e-6)
        keys = ("attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias")
        x = x + b["ls1.gamma"] * attended(y, *(b[key] for key in keys))
        y = F.layer_norm(x, (WIDTH,), b["norm2.weight"], b["norm2.bias"], 1e-6)
        y = F.gelu(y @ b["mlp.fc1.weight"].T + b["mlp.fc1.bias"])
        x = x + b["ls2.gamma"] * (y @ b["mlp.fc2.weight"].T + b["mlp.fc2.bias"])
    expected = F.layer_norm(x, (WIDTH,), w["norm.weight"], w["norm.bias"], 1e-6)[:, 0]

    found = extract(extractor, images).features
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)
    assert len(extractor.sha256) == 64
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_positions_of_the_published_grid_are_resampled(tmp_path):
    state = dinov2_state(grid=37)  # 518 pixels
    row = torch.linspace(-1, 1, 37)[None, :, None].expand(37, 37, WIDTH)
    state["pos_embed"][:, 1:] = row.reshape(1, -1, WIDTH)
    torch.save(state, tmp_path / "weights.pth")
    extractor = dinov2.DINOv2Features(tmp_path / "weights.pth")
    assert extract(extractor, torch.zeros(1, 1, 32, 32)).features.shape == (1, WIDTH)
    codes = extractor.network.pos_embed[0, 1:, 0].reshape(16, 16)
    torch.testing.assert_close(codes, codes[:1].expand(16, 16), rtol=0, atol=1e-4)
    assert codes[0, 0] < -0.9
    assert codes[0, -1] > 0.9
    assert bool((codes[0].diff() > 0).all())
    assert torch.equal(extractor.network.pos_embed[0, 0], state["pos_embed"][0, 0])


class PlainCLIP(nn.Module):
    """CLIP's image encoder, of PyTorch's own layers, with OpenAI's names."""

    def __init__(self, patch=8, side=4, width=WIDTH, out=24):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width))
        self.positional_embedding = nn.Parameter(torch.randn(1 + side**2, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(nn.Module() for _ in range(DEPTH))
        for block in self.transformer.resblocks:
            block.attn = nn.MultiheadAttention(width, HEADS, batch_first=True)
            block.ln_1, block.ln_2, block.mlp = (
                nn.LayerNorm(width),
                nn.LayerNorm(width),
                nn.Module(),
            )
            block.mlp.c_fc, block.mlp.c_proj = (
                nn.Linear(width, 4 * width),
                nn.Linear(4 * width, width),
            )
        self.proj = nn.Parameter(torch.randn(width, out))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([token, x], 1) + self.positional_embedding)
        for block in self.transformer.resblocks:
            y = block.ln_1(x)
            x = x + block.attn(y, y, y, need_weights=False)[0]
            y = block.mlp.c_fc(block.ln_2(x))
            x = x + block.mlp.c_proj(y * torch.sigmoid(1.702 * y))
        return F.normalize(self.ln_post(x[:, 0]) @ self.proj, dim=1)


@pytest.fixture
def clip_file(tmp_path):
    torch.manual_seed(0)
    plain = PlainCLIP()
    state = {f"visual.{name}": value for name, value in plain.state_dict().items()}
    save_file(state | {"logit_scale": torch.zeros(())}, tmp_path / "open_clip_model.safetensors")
    return plain, tmp_path / "open_clip_model.safetensors"


def test_clip_equals_openais_arrangement(clip_file):
    plain, path = clip_file
    extractor = load_extractor(f"clip:{path}")
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    mean, std = (torch.tensor(v)[:, None, None] for v in (clip.MEAN, clip.STD))
    expected = plain(((images + 1) / 2 - mean) / std)
    found = extract(extractor, images).features
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert extractor.name == f"clip-vit-{WIDTH}-8-32"


@pytest.mark.parametrize("kind", ["dinov2", "clip"])
def test_files_of_something_else_are_refused_in_a_sentence(kind, tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("other.pth", "text.pth", "text.safetensors", "missing.pth"):
        with pytest.raises(InputError, match=f"{name}.*expected|{name}.*does not fit"):
            load_extractor(f"{kind}:{tmp_path / name}")


def test_registers_are_refused(tmp_path):
    state = dinov2_state(grid=16) | {"register_tokens": torch.zeros(1, 4, WIDTH)}
    torch.save(state, tmp_path / "reg.pth")
    with pytest.raises(InputError, match="registers"):
        dinov2.DINOv2Features(tmp_path / "reg.pth")
