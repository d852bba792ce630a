import torch

from lit_synth.augment import BlurredViews


def seeded_rand(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=rng, dtype=torch.float64)


def inside(at):
    return min(max(int(at), 0), 5)


def test_equals_a_plain_derivation():
    x = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = BlurredViews(shift=2, blur=0.8, noise=0.3)(x, seeded_rand())
    rand = seeded_rand()
    offsets, share = (rand(2, 2) * 5).long() - 2, 0.8 * rand(2, 1, 1, 1)
    amplitude, noise = 0.3 * rand(2, 1, 1, 1), 2 * rand(2, 3, 6, 6) - 1
    weights = {-1: 0.25, 0: 0.5, 1: 0.25}
    moved = torch.stack(
        [
            image[:, [inside(i + dy) for i in range(6)]][:, :, [inside(j + dx) for j in range(6)]]
            for image, (dy, dx) in zip(x, offsets, strict=True)
        ]
    )
    blurred = torch.zeros_like(moved)
    for a, wa in weights.items():
        for b, wb in weights.items():
            rows = [inside(i + a) for i in range(6)]
            columns = [inside(j + b) for j in range(6)]
            blurred += wa * wb * moved[:, :, rows][:, :, :, columns]
    expected = moved + share * (blurred - moved) + amplitude * noise
    torch.testing.assert_close(y, expected)


def test_what_alternates_from_pixel_to_pixel_is_gone_at_full_blur():
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = 1 - 2.0 * ((rows + columns) % 2).expand(1, 1, 8, 8)
    seen = BlurredViews(shift=0, blur=1.0, noise=0.0)(
        board, lambda *shape: torch.full(shape, 0.999)
    )
    assert seen[:, :, 1:-1, 1:-1].abs().max() < 0.002
