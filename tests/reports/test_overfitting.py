"""The report's line on a critic that learns its images by heart."""

from lit_synth.reports.overfitting import advice


def curves(held_out):
    seen = [(k, 1.0) for k in range(100, 100 * len(held_out) + 1, 100)]
    return {
        "train/seen_real": seen,
        "train/held_out_real": list(zip((k for k, _ in seen), held_out, strict=True)),
    }


def test_it_says_since_when_and_what_to_do():
    said = advice(curves([0.9, 0.5, 0.8, 0.6, 0.2]), images=1100)
    assert said.startswith(
        "The critic knows its 1,100 training images by heart since iteration 400"
    )
    assert "100% of them for real, and 20% of held-out images" in said
    assert said.endswith("more augmentation, such as ADA, or stop there.")


def test_a_gap_that_has_closed_again_is_no_sign():
    assert advice(curves([0.9, 0.1, 0.95])).startswith("No sign that the critic knows its training")


def test_without_the_gauge_nothing_is_said():
    assert advice({"train/r_t": [(1, 1.0)]}) is None
