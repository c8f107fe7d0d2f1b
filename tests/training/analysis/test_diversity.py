import numpy as np
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.values import derive_seed
from anyprefer.training.analysis.diversity import compare, condition_number, project, view_of
from anyprefer.training.pair_data.any_data_set import Sample
from tests.scripted import a_task


def spread(*deviations, n=4000, mean=0.0):
    return np.random.default_rng(0).normal(mean, deviations, (n, len(deviations)))


def samples(n, name=""):
    return [Sample(a_task(f"{name} question {i}"), f"answer {i}", "no") for i in range(n)]


def encode(texts):
    """Eight directions, of which the last never varies."""
    vectors = [np.random.default_rng(derive_seed(text)).normal(size=8) for text in texts]
    return np.stack(vectors) * [4, 1, 1, 1, 1, 1, 1, 0]


def test_the_condition_number_is_the_ratio_of_variances():
    """Exactly: columns ±1 and ±3 are orthogonal and centred, so λ are 9 and 1 (over n - 1)."""
    square = np.array([[3, 1], [3, -1], [-3, 1], [-3, -1]], dtype=float)
    assert condition_number(square) == pytest.approx(9)
    assert condition_number(spread(4, 2, 1)) == pytest.approx(16, rel=0.1)
    assert condition_number(spread(4, 2, 1), components=2) == pytest.approx(4, rel=0.1)


def test_centring_takes_the_mean_vector_out():
    far = spread(1, 1, 1, mean=10)
    assert condition_number(far) == pytest.approx(1, abs=0.15)
    assert condition_number(far, centred=False) == pytest.approx(301, rel=0.1)


def test_scale_and_rotation_do_not_matter():
    x = spread(3, 2, 1)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    assert condition_number(7 * x @ turn) == pytest.approx(condition_number(x))


@pytest.mark.parametrize(
    ("x", "components", "said"),
    [
        (spread(1, 1, 1, n=3), 0, "3 samples span 2 dimensions"),
        (spread(1, 1, 0), 0, "4000 embeddings vary in 2 of 3 directions"),
        (np.repeat(spread(1, 1, 1, n=2), 10, axis=0), 0, "vary in 1 of 3"),
        (spread(1, 1), 3, "from 1 to the 2 dimensions"),
    ],
)
def test_an_infinite_condition_number_is_refused(x, components, said):
    with pytest.raises(InputError, match=said):
        condition_number(x, components)


def test_fewer_samples_than_features_still_have_their_largest_components():
    assert condition_number(spread(4, 2, 1, 1, 1, 1, n=5), components=2) > 1


def test_sets_are_compared_at_the_size_of_the_smallest_without_repeats():
    data = {"a": samples(40, "a"), "b": [*samples(20, "b"), *samples(20, "b")]}
    first, second = compare(data, encode, n=30, top=3)
    assert (first.name, first.n, second.n) == ("a", 20, 20)
    assert first.directions == 7
    assert first.condition > first.condition_top > 1
    assert first.points.shape == (20, 2)
    assert np.array_equal(first.points, compare(data, encode, n=30, top=3)[0].points)


def test_few_samples_have_no_full_condition_number():
    [only] = compare({"a": samples(8)}, encode, top=3)
    assert only.condition is None
    assert only.condition_top > 1
    with pytest.raises(InputError, match="a: 3 distinct samples are too few for 3 components"):
        compare({"a": samples(3)}, encode, top=3)


def test_views():
    one = samples(1)[0]
    assert [view_of(one, view) for view in ("pair", "prompt", "chosen")] == [
        " question 0\n\nanswer 0",
        " question 0",
        "answer 0",
    ]


def test_tsne_keeps_clusters_apart():
    far = np.eye(6)[[0] * 20 + [1] * 20] + np.random.default_rng(0).normal(0, 0.05, (40, 6))
    places = project(far)
    left, right = places[:20].mean(axis=0), places[20:].mean(axis=0)
    assert np.linalg.norm(left - right) > 3 * np.linalg.norm(places[:20] - left, axis=1).mean()
