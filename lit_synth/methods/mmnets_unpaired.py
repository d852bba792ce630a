"""M&MNets for unpaired domains: all translations from those with one anchor (thesis section 4.3.4).

Wang, van de Weijer, Herranz 2018, arXiv:1804.02199.
"""

from itertools import permutations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_synth.batches.image_pool import ImagePool
from lit_synth.batches.sets import Nested, examples
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.losses.adversarial import lsgan_discriminator_loss
from lit_synth.method import Method
from lit_synth.networks.parts.rebuilding import another
from lit_synth.stages import Stage

REAL = 0.9  # the score of real images


class MMNetsUnpaired(Method):
    """Train an encoder f_k and a decoder g_k for each domain k so that any two of them fit.

    Only translations from and to an anchor a are trained, g_k o f_a and g_a o f_k, as CycleGANs
    that share the anchor's encoder and decoder: 2 N networks for N (N - 1) translations. Unseen
    ones are g_k o f_j.

    Follows https://github.com/yaxingwang/Mix-and-match-networks at 3fb80b0, folder `color` (the
    thesis writes that the loss is adversarial alone): LSGAN with .9 for real images, which the
    generators aim at too; L1 cycles; L1 autoencoders; a discriminator and a history of 50 generated
    images per domain, the anchor's filled from the other domains in turn.

    Deviations: the anchor's autoencoder counts once (there once per other domain, through decoders
    of which all but one never train). The code has pooling indices, as the thesis's networks have
    and the released ones have not, if the given networks use them.

    Args:
        domains: Names of the domains.
        anchor: The domain that all seen translations start from or lead to.
        encoder: Maps images (N, C, H, W) to a code; each domain gets one built alike.
        decoder: Maps a code of any encoder to images in [-1, 1]; likewise.
        discriminator: Maps images to realness, of any shape; likewise.
        stages: Usually one at a constant learning rate and one as long with `decay: linear`.
        lambda_cycle: Weight of the cycles.
        lambda_autoencoder: Weight of the autoencoders.
        pool_size: Generated images of each domain that its discriminator may see again.
        lr: Adam learning rate of all networks.
        betas: Adam's decay rates.
    """

    def __init__(
        self,
        domains: list[str],
        anchor: str,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        stages: list[Stage],
        lambda_cycle: float = 10.0,
        lambda_autoencoder: float = 10.0,
        pool_size: int = 50,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ) -> None:
        super().__init__(stages)
        if anchor not in domains or len(set(domains)) != len(domains) or len(domains) < 2:
            raise InputError(
                f"the anchor is '{anchor}' and the domains are {', '.join(domains)}: expected two "
                "or more different domains, the anchor among them."
            )
        self.domains, self.anchor = domains, anchor
        self.others = [name for name in domains if name != anchor]
        self.encoders = nn.ModuleDict({k: another(encoder) for k in domains})
        self.decoders = nn.ModuleDict({k: another(decoder) for k in domains})
        self.discriminators = nn.ModuleDict({k: another(discriminator) for k in domains})
        self.pools = nn.ModuleDict({k: ImagePool(pool_size) for k in domains})
        self.lambda_cycle, self.lambda_autoencoder = lambda_cycle, lambda_autoencoder
        self.lr, self.betas = lr, betas

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = (nn.ModuleList([self.encoders, self.decoders]), self.discriminators)
        return [
            torch.optim.Adam(player.parameters(), self.lr, betas=self.betas, fused=True)
            for player in players
        ]

    def training_step(self, batch: Nested) -> None:
        x = {k: examples(batch, k) for k in self.domains}
        a, judge = self.anchor, self.discriminators
        opt_g, opt_d = self.optimizers()

        with self.toggled_optimizer(opt_g):
            code = {k: self.encoders[k](x[k]) for k in self.domains}
            from_a = {k: self.decoders[k](code[a]) for k in self.others}
            to_a = {k: self.decoders[a](code[k]) for k in self.others}
            g_adv, g_cycle, g_auto = (torch.zeros((), device=self.device) for _ in range(3))
            for k in self.others:
                # Encoders and decoders: pass for the real in each domain (LSGAN),
                g_adv = g_adv + aim(judge[k](from_a[k])) + aim(judge[a](to_a[k]))
                # and come back from it (L1 cycles);
                there = F.l1_loss(self.convert(from_a[k], k, a), x[a])
                g_cycle = g_cycle + there + F.l1_loss(self.convert(to_a[k], a, k), x[k])
            for k in self.domains:
                # be autoencoders (L1), so that a code has all of an image.
                g_auto = g_auto + F.l1_loss(self.decoders[k](code[k]), x[k])
            g_rec = self.lambda_cycle * g_cycle + self.lambda_autoencoder * g_auto
            self.minimize(g_adv + g_rec, opt_g)

        # Discriminators: tell the real from what was made, now or before (LSGAN, halved).
        fake = from_a | {a: to_a[self.others[self.iteration % len(self.others)]]}
        with self.toggled_optimizer(opt_d):
            d_adv = torch.zeros((), device=self.device)
            for k in self.domains:
                past = self.pools[k](fake[k], self.rand(len(fake[k]), 2))
                d_adv = d_adv + lsgan_discriminator_loss(judge[k](x[k]), judge[k](past), REAL) / 2
            self.minimize(d_adv, opt_d)
        self.track(d_adv=d_adv, g_adv=g_adv, g_cycle=g_cycle, g_auto=g_auto)

    def convert(self, x: Tensor, source: str, target: str) -> Tensor:
        """Return images (N, C, H, W) of one domain as images of another."""
        return self.decoders[target](self.encoders[source](x))

    def translations(self) -> list[Translation]:
        return [Translation((j,), (k,)) for j, k in permutations(self.domains, 2)]

    @torch.no_grad()
    def translate(self, x: dict[str, Tensor], translation: Translation) -> Tensor:
        (source,) = translation.sources
        return self.convert(x[source], source, translation.target).float().clamp(-1, 1)

    @torch.no_grad()
    def latents(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: self.encoders[k](x[k]).h for k in self.domains if k in x}

    def release(self) -> tuple[dict[str, nn.Module], dict[str, Any]]:
        """Return `encoder_<domain>`, `decoder_<domain>`, and the number of their parameters."""
        networks: dict[str, nn.Module] = {f"encoder_{k}": e for k, e in self.encoders.items()}
        networks |= {f"decoder_{k}": d for k, d in self.decoders.items()}
        counts = [p.numel() for network in networks.values() for p in network.parameters()]
        return networks, {"parameters": sum(counts)}


def aim(scores: Tensor) -> Tensor:
    """Return E[(D(x_fake) - .9)^2] of scores of any shape, a scalar of float32 or wider."""
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return (wide - REAL).square().mean()
