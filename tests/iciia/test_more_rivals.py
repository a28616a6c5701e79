"""The rivals that keep a belief, a cache or Gaussians, each against its formula as a plain loop; and published behaviours."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from iciia.adapters import (
    AdaptAdapter,
    Adapter,
    ArmCmlAdapter,
    BbseAdapter,
    Chunk,
    CofaAdapter,
    FlhFtlAdapter,
    FthAdapter,
    HmmAdapter,
    IcrmAdapter,
    StataAdapter,
    SuperclassFilterAdapter,
    TdaAdapter,
)
from iciia.adapters.hmm import choose_persistence
from iciia.adapters.source import Source
from iciia.cloud.calibration import confusion_matrix
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.icrm import Icrm
from iciia.testing import allocated_bytes, example_chunk

Array = NDArray[np.float64]
D, C, N, T = 16, 6, 7, 24
GROUP = np.array([0, 0, 1, 2, 1, 2])


def source() -> Source:
    """One that is neither calibrated nor uniform, with a confusion matrix, superclasses and a covariance of its own."""
    rng = np.random.default_rng(4)
    labels = np.arange(300) % C
    logits = rng.standard_normal((300, C)) + 2 * np.eye(C)[labels]
    noise = rng.standard_normal((40, D)) * np.linspace(0.1, 0.5, D)
    return replace(
        Source.blank(D, C),
        temperature=1.7,
        prior=np.array([0.1, 0.3, 0.2, 0.1, 0.2, 0.1]),
        confusion=confusion_matrix(logits, labels, 1.7),
        superclass=GROUP,
        covariance=(noise.T @ noise / 40).astype(np.float32),
    )


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def entropy(p: Array) -> float:
    return float(-(p * np.log(p)).sum())


def rows_of(s: Source) -> Array:
    assert s.weight is not None
    return unit(s.weight.astype(np.float64))


def superclass_filter(z: Array, logits: Array, s: Source, hazard: float = 0.01) -> Array:
    belief, found = dict.fromkeys(range(3), 1 / 3), []
    for p in softmax(logits / s.temperature):
        expected = {g: (1 - hazard) * belief[g] + hazard / 3 for g in belief}
        size = {g: int((g == GROUP).sum()) for g in belief}
        found.append([p[c] / s.prior[c] * expected[GROUP[c]] / size[GROUP[c]] for c in range(C)])
        belief = {
            g: expected[g] * sum(p[c] / (s.prior[c] * size[g]) for c in range(C) if GROUP[c] == g) for g in expected
        }
        belief = {g: belief[g] / sum(belief.values()) for g in belief}
    return np.log(found)


def em(p: Array, prior: Array) -> Array:
    q = prior
    for _ in range(100):
        posterior = q / prior * p
        posterior /= posterior.sum(axis=1, keepdims=True)
        change = np.abs(posterior.mean(axis=0) - q).sum()
        q = posterior.mean(axis=0)
        if change < 1e-4:
            break
    return q


def hmm(z: Array, logits: Array, s: Source, persistence: float = 0.5) -> Array:
    a, found, p = s.prior, [], softmax(logits / s.temperature)
    for t in range(len(p)):
        expected = persistence * a + (1 - persistence) * em(p[max(0, t - N) : t + 1], s.prior)
        a = expected * p[t] / s.prior
        a = a / a.sum()
        found.append(np.log(a))
    return np.array(found)


def solved(p: Array, s: Source) -> Array:
    """BBSE's class weights of one vector of probabilities."""
    a = s.confusion
    w: Array = np.linalg.inv(a.T @ a + 1e-8 * np.eye(C)) @ a.T @ p
    return w


def fth(z: Array, logits: Array, s: Source) -> Array:
    p = softmax(logits / s.temperature)
    estimates = [solved(of_image, s) for of_image in p]
    return np.array(
        [np.log(np.maximum(np.mean(estimates[: t + 1], axis=0).clip(0) * p[t], 1e-38)) for t in range(len(p))]
    )


def flh_ftl(z: Array, logits: Array, s: Source, most: int = 4) -> Array:
    """Experts as lists of all that each has seen: [weight, estimates]."""
    experts: list[list] = []
    found = []
    for t, p in enumerate(softmax(logits / s.temperature)):
        q = solved(p, s) * s.prior
        for expert in experts:
            expert[0] *= np.exp(-((np.mean(expert[1], axis=0) - q) ** 2).sum() / C)
        total = sum(weight for weight, _ in experts)
        for expert in experts:
            expert[0] *= (1 - 1 / (t + 1)) / total
            expert[1].append(q)
        experts.append([1 / (t + 1), [q]])
        if len(experts) > most:
            gaps = [len(experts[i - 1][1]) / len(experts[i + 1][1]) for i in range(1, most)]
            del experts[1 + int(np.argmin(gaps))]
        total = sum(weight for weight, _ in experts)
        mixture = sum(weight / total * np.mean(estimates, axis=0) for weight, estimates in experts)
        found.append(np.log(np.maximum((mixture / s.prior).clip(0) * p, 1e-38)))
    return np.array(found)


def cofa(z: Array, logits: Array, s: Source) -> Array:
    """Of the mean feature by the classifier itself."""
    assert s.weight is not None
    found, before = [], z[0]
    for x in z:
        p, q = (softmax(s.weight.astype(np.float64) @ y / s.temperature) for y in (x, (x + before) / 2))
        found.append(np.log(q if q.max() > p.max() else p))
        before = x
    return np.array(found)


def tda(z: Array, logits: Array, s: Source) -> Array:
    sure: dict[int, list] = {}
    unsure: dict[int, list] = {}
    found = []
    for x, own in zip(unit(z), logits / s.temperature, strict=True):
        p = softmax(own)
        c, h = int(p.argmax()), entropy(p)
        sure[c] = sorted([*sure.get(c, []), (h, x)], key=lambda one: one[0])[:3]
        if 0.2 < h / np.log(C) < 0.5:
            unsure[c] = sorted([*unsure.get(c, []), (h, x, p)], key=lambda one: one[0])[:2]
        scores = own.copy()
        for label, kept in sure.items():
            scores[label] += 2 * sum(np.exp(-5 * (1 - x @ k)) for _, k in kept)
        for kept in unsure.values():
            for _, k, q in kept:
                scores[(q > 0.03) & (q < 1)] -= 0.117 * np.exp(-(1 - x @ k))
        found.append(scores)
    assert any(unsure.values())
    return np.array(found)


def adapt(z: Array, logits: Array, s: Source) -> Array:
    assert s.covariance is not None
    sigma, rows = s.covariance.astype(np.float64), rows_of(s)
    precision = D * np.linalg.inv((16 * C - 1) * sigma + np.trace(sigma) * np.eye(D))
    kept: dict[int, list] = {c: [] for c in range(C)}
    found = []
    for x, own in zip(unit(z), logits / s.temperature, strict=True):
        p = softmax(own)
        c = int(p.argmax())
        kept[c] = sorted([*kept[c], (entropy(p), p[c], x)], key=lambda one: one[0])[:16]
        g, alike, count = np.zeros(C), np.zeros(C), sum(map(len, kept.values()))
        for c in range(C):
            mean = rows[c]
            if kept[c]:
                mean = 0.9 * sum(w * k for _, w, k in kept[c]) / sum(w for _, w, _ in kept[c]) + 0.1 * rows[c]
            g[c] = mean @ precision @ x - mean @ precision @ mean / 2
            alike[c] = sum(w * (x @ k) for _, w, k in kept[c])
        bracket = g - np.log(np.exp(g - g.max()).sum()) - g.max() + 50 / (2 * count) * alike
        found.append(own + bracket / 2)
    return np.array(found)


def stata(z: Array, logits: Array, s: Source, anchor: float = 1.0, softness: float = 50.0) -> Array:
    rows, found = rows_of(s), []
    for t in range(len(z)):
        x, p = unit(z)[max(0, t - N) : t + 1], softmax(logits / s.temperature)[max(0, t - N) : t + 1]
        n = len(x)
        w = np.zeros((n, n))
        for i in range(n):
            others = [j for j in np.argsort(-(x @ x[i])) if j != i][:3]
            w[i, others] = x[others] @ x[i]
        first = np.mean([sum(p[i, c] * (x[i] - rows[c]) ** 2 for c in range(C)) for i in range(n)], axis=0)
        mu, v, y = rows.copy(), np.tile(first, (C, 1)), p
        for step in range(11):
            f = np.array([[-(((x[i] - mu[c]) ** 2) / v[c]).sum() / 2 for c in range(C)] for i in range(n)])
            for _ in range(5):
                y = p * np.exp((f - f.max(axis=1, keepdims=True)) / softness + (w + w.T) @ y / 6)
                y = y / y.sum(axis=1, keepdims=True)
            if step == 10:
                break
            for c in range(C):
                count = int((y.argmax(axis=1) == c).sum())
                beta = count / (count + anchor)
                mean = y[:, c] @ x / y[:, c].sum()
                mu[c] = unit(beta * unit(mean) + (1 - beta) * rows[c])
                spread = y[:, c] @ (x - mu[c]) ** 2 / y[:, c].sum()
                v[c] = beta * spread + (1 - beta) * (first + (rows[c] - mu[c]) ** 2)
        found.append(np.log(y[-1]))
    return np.array(found)


Plain = Callable[[Array, Array, Source], Array]
CASES: list[tuple[Callable[[Source], Adapter], Plain]] = [
    (SuperclassFilterAdapter, superclass_filter),
    (lambda s: SuperclassFilterAdapter(s, 0.3), lambda *a: superclass_filter(*a, hazard=0.3)),
    (lambda s: HmmAdapter(s, N), hmm),
    (lambda s: HmmAdapter(s, N, 0.9), lambda *a: hmm(*a, persistence=0.9)),
    (FthAdapter, fth),
    (lambda s: FlhFtlAdapter(s, 4), flh_ftl),
    (lambda s: FlhFtlAdapter(s, 100), lambda *a: flh_ftl(*a, most=100)),
    (CofaAdapter, cofa),
    (TdaAdapter, tda),
    (AdaptAdapter, adapt),
    (lambda s: StataAdapter(s, N), stata),
    (lambda s: StataAdapter(s, N, 4.0, 5.0), lambda *a: stata(*a, anchor=4.0, softness=5.0)),
]


def drawn() -> Chunk:
    """Streams of three clients whose logits have nothing to do with a classifier."""
    chunk = example_chunk(steps=T)
    return Chunk(chunk.features, 2 * chunk.logits)


def streams(steps: int = T) -> Chunk:
    """Streams of three clients whose logits are the classifier's of the features, some sure and some not."""
    s = source()
    assert s.weight is not None
    chunk = example_chunk(steps=steps)
    strength = torch.linspace(0.2, 1.5, steps).view(1, -1, 1)
    features = chunk.features * strength
    return Chunk(features, features @ torch.from_numpy(s.weight).t())


@pytest.mark.parametrize(
    ("make", "plain"), CASES, ids=[f"{n}-{make(source()).kind}" for n, (make, _) in enumerate(CASES)]
)
@pytest.mark.parametrize("chunk", [drawn(), streams()], ids=["drawn", "linear"])
def test_each_adapter_is_its_formula(make: Callable[[Source], Adapter], plain: Plain, chunk: Chunk) -> None:
    s = source()
    adapter = make(s)
    if plain is cofa:
        chunk = streams()
    found = torch.cat(predicted(adapter, chunk, 5), dim=1).double().numpy()
    for k in range(3):
        z, logits = chunk.features[k].double().numpy(), chunk.logits[k].double().numpy()
        expected = plain(z, logits, s)
        np.testing.assert_allclose(softmax(found[k]), softmax(expected), rtol=2e-4, atol=1e-6)


def predicted(adapter: Adapter, chunk: Chunk, cut: int) -> list[torch.Tensor]:
    """Scores of a stream in two chunks."""
    state, parts = adapter.start(np.arange(len(chunk.features)), 0), []
    for part in (slice(0, cut), slice(cut, None)):
        scores, state = adapter.predict(state, Chunk(chunk.features[:, part], chunk.logits[:, part]))
        parts.append(scores)
    return parts


def test_the_filter_of_one_superclass_is_the_backbone() -> None:
    s = replace(Source.blank(D, C), superclass=np.zeros(C, dtype=np.int64))
    chunk = example_chunk(steps=T)
    scores = torch.cat(predicted(SuperclassFilterAdapter(s, 0.0), chunk, 5), dim=1)
    torch.testing.assert_close(scores, torch.log_softmax(chunk.logits, dim=-1), rtol=1e-5, atol=1e-5)


def test_the_filter_goes_on_where_no_superclass_is_possible() -> None:
    """Without a hazard a superclass that is ruled out stays so; an image of none but that one teaches nothing."""
    s = replace(source(), temperature=1.0)
    logits = torch.full((1, 3, C), -2000.0)
    logits[0, 0, 0] = logits[0, 1, 3] = logits[0, 2, 1] = 0.0
    scores, state = (adapter := SuperclassFilterAdapter(s, 0.0)).predict(
        adapter.start(np.arange(1), 0), Chunk(torch.zeros(1, 3, D), logits)
    )
    assert state.tolist() == [[1.0, 0.0, 0.0]]
    assert scores.isfinite().all()


def test_the_filter_says_when_it_believes_in_another_superclass() -> None:
    """Classes of superclass 0, then of 2, then of 0 again; the first image only makes up its mind."""
    logits = 8.0 * torch.nn.functional.one_hot(torch.tensor([[0, 1, 0, 3, 5, 3, 1, 0]]), C)
    adapter = SuperclassFilterAdapter(replace(source(), temperature=1.0))
    found = []
    state = adapter.start(np.arange(1), 0)
    for part in (slice(0, 3), slice(3, 8)):
        _, state = adapter.predict(state, Chunk(torch.zeros(1, 8, D)[:, part], logits[:, part]))
        assert adapter.alarms is not None
        found.append(adapter.alarms)
    assert np.concatenate(found, axis=1).tolist() == [[False, False, False, True, False, False, True, False]]


@pytest.mark.parametrize("adapter", [FlhFtlAdapter(source(), 1), FthAdapter(source())], ids=["flh_ftl-1", "fth"])
def test_one_expert_is_bbse_with_a_window_that_never_ends(adapter: Adapter) -> None:
    chunk = example_chunk(steps=T)
    found, expected = (torch.cat(predicted(one, chunk, 5), dim=1) for one in (adapter, BbseAdapter(source(), T)))
    torch.testing.assert_close(softmax(found.numpy()), softmax(expected.numpy()), rtol=1e-4, atol=1e-6)


def test_experts_leave_the_old_prior_sooner_than_the_whole_history() -> None:
    """Classes 0 and 1 for 200 images, then 4 and 5: right after the change the leading history is the nearer to the truth."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.integers(0, 2, 200), rng.integers(4, 6, 60)])
    logits = torch.from_numpy(1.2 * np.eye(C)[labels] + rng.standard_normal((260, C))).float().unsqueeze(0)
    calibration = np.arange(3000) % C
    s = replace(
        Source.blank(D, C),
        confusion=confusion_matrix(1.2 * np.eye(C)[calibration] + rng.standard_normal((3000, C)), calibration, 1.0),
    )
    chunk = Chunk(torch.zeros(1, 260, D), logits)
    right = {}
    for adapter in (FlhFtlAdapter(s, 12), FthAdapter(s)):
        scores = torch.cat(predicted(adapter, chunk, 100), dim=1)[0]
        right[adapter.kind] = (scores.argmax(dim=1).numpy() == labels)[220:].mean()
    assert right["flh_ftl"] > right["fth"] + 0.1


def test_experts_are_spread_over_all_ages() -> None:
    adapter = FlhFtlAdapter(source(), 8)
    _, state = adapter.predict(adapter.start(np.arange(1), 0), example_chunk(clients=1, steps=400))
    assert state.ages[0] == 400
    assert state.ages[-1] == 1
    assert all(elder > younger for elder, younger in zip(state.ages, state.ages[1:], strict=False))
    assert max(elder / younger for elder, younger in zip(state.ages, state.ages[1:], strict=False)) < 6


def test_persistence_is_what_streams_have() -> None:
    """Each label is repeated with probability .8; among the choices .8 is the likeliest."""
    rng = np.random.default_rng(1)
    labels = rng.integers(C, size=(24, 200))
    for t in range(1, 200):
        labels[:, t] = np.where(rng.random(24) < 0.8, labels[:, t - 1], labels[:, t])
    logits = torch.from_numpy(np.eye(C)[labels] + rng.standard_normal((24, 200, C))).float()
    s = Source.blank(D, C)
    assert choose_persistence(logits, torch.from_numpy(labels), s) == pytest.approx(0.8, abs=0.11)
    once = torch.from_numpy(np.eye(C)[rng.integers(C, size=(24, 200))] + rng.standard_normal((24, 200, C))).float()
    assert choose_persistence(once, once.argmax(dim=2), s) <= 0.3


@pytest.mark.parametrize("make", [TdaAdapter, AdaptAdapter])
def test_caches_fill_up_to_what_is_stated(make: Callable[[Source], Adapter]) -> None:
    """Every class often enough, with unsure images within the range of entropies."""
    rng = np.random.default_rng(0)
    labels = np.arange(40 * C) % C
    sure = 3.0 + rng.random(40 * C) * 2  # normalised entropies from .1 to .5
    logits = torch.from_numpy(sure[:, None] * np.eye(C)[labels]).float().unsqueeze(0)
    chunk = Chunk(torch.from_numpy(rng.standard_normal((1, 40 * C, D))).float(), logits)
    adapter = make(Source.blank(D, C))
    _, state = adapter.predict(adapter.start(np.arange(1), 0), chunk)
    assert allocated_bytes(state) == adapter.cost().state_bytes


def icrm_of(module: Icrm, z: Array) -> Array:
    """Logits of the last image of a context, by its weights: one image and one head at a time."""
    w = {name: value.double().numpy() for name, value in module.state_dict().items()}

    def linear(name: str, x: Array) -> Array:
        y: Array = w[f"{name}.weight"] @ x + w[f"{name}.bias"]
        return y

    def norm(name: str, x: Array) -> Array:
        y: Array = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]
        return y

    xs = [linear("read_in", unit(x) * np.sqrt(D)) + w["place.weight"][t] for t, x in enumerate(z)]
    for layer in range(2):
        q, k, v = (
            np.array(part)
            for part in zip(
                *(np.split(linear(f"blocks.{layer}.qkv", norm(f"blocks.{layer}.norm1", x)), 3) for x in xs), strict=True
            )
        )
        for t in range(len(xs)):
            heads = []
            for head in (slice(0, 4), slice(4, 8)):
                weights = softmax(np.array([q[t, head] @ k[s, head] / 2 for s in range(t + 1)]))
                heads.append(sum(weights[s] * v[s, head] for s in range(t + 1)))
            xs[t] = xs[t] + linear(f"blocks.{layer}.out", np.concatenate(heads))
            h = linear(f"blocks.{layer}.wide", norm(f"blocks.{layer}.norm2", xs[t]))
            h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
            xs[t] = xs[t] + linear(f"blocks.{layer}.narrow", h)
    return linear("classifier", norm("norm", xs[-1]))


def test_icrm_is_its_formula_and_reads_half_a_context_again() -> None:
    """With 6 positions, image 7 is the fourth of a context that begins with the three before it."""
    torch.manual_seed(0)
    module = Icrm(D, C, layers=2, heads=2, width=8, positions=6)
    chunk = drawn()
    scores = torch.cat(predicted(IcrmAdapter(module), chunk, 5), dim=1).double().numpy()
    starts = [0, 0, 0, 0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
    for t, start in enumerate(starts):
        z = chunk.features[1, start : t + 1].double().numpy()
        np.testing.assert_allclose(scores[1, t], icrm_of(module, z), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("capacity", [None, 5])
def test_arm_cml_is_its_formula(capacity: int | None) -> None:
    torch.manual_seed(0)
    module = ArmCml(D, C, width=5)
    w = {name: value.double().numpy() for name, value in module.state_dict().items()}
    chunk = drawn()
    scores = torch.cat(predicted(ArmCmlAdapter(module, capacity), chunk, 5), dim=1).double().numpy()
    for k in range(3):
        z = unit(chunk.features[k].double().numpy()) * np.sqrt(D)
        told = [np.maximum(w["context.weight"] @ x + w["context.bias"], 0) for x in z]
        for t in range(T):
            first = 0 if capacity is None else max(0, t - capacity)
            both = np.concatenate([z[t], np.mean(told[first : t + 1], axis=0)])
            expected = w["classifier.weight"] @ both + w["classifier.bias"]
            np.testing.assert_allclose(scores[k, t], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("module", [Icrm(D, C, 2, 2, 8, 6), ArmCml(D, C, 5)])
def test_a_sequence_trains_what_a_stream_predicts(module: Icrm | ArmCml) -> None:
    chunk = drawn()
    adapter = IcrmAdapter(module) if isinstance(module, Icrm) else ArmCmlAdapter(module)
    streamed = torch.cat(predicted(adapter, chunk, 5), dim=1)
    torch.testing.assert_close(module.forward_sequences(chunk.features, chunk.logits), streamed, rtol=1e-5, atol=1e-5)


def test_a_full_context_takes_what_is_stated() -> None:
    adapter = IcrmAdapter(Icrm(D, C, layers=2, heads=2, width=8, positions=6))
    _, state = adapter.predict(adapter.start(np.arange(1), 0), example_chunk(clients=1, steps=9))
    assert allocated_bytes(state) == adapter.cost().state_bytes


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: SuperclassFilterAdapter(s, 1.5), "got a hazard of 1.5; expected a number from 0 to 1"),
        (lambda s: SuperclassFilterAdapter(replace(s, superclass=None)), "classes are not grouped"),
        (lambda s: HmmAdapter(s, 4, 1.5), "got a persistence of 1.5"),
        (lambda s: HmmAdapter(replace(s, persistence=None)), "the cloud has chosen none"),
        (lambda s: HmmAdapter(s, -1), "got a capacity of -1"),
        (lambda s: FlhFtlAdapter(s, 0), "got 0 experts; expected an integer of 1 or more"),
        (lambda s: AdaptAdapter(replace(s, weight=None)), "needs the weights of the backbone's classifier"),
        (lambda s: AdaptAdapter(replace(s, covariance=None)), "the cloud has measured none"),
        (lambda s: IcrmAdapter(Icrm(D, C, heads=3, width=8)), "got 3 heads, which do not divide the width 8"),
        (lambda s: IcrmAdapter(Icrm(D, C, positions=5), 5), "got a capacity of 5, and the module has positions for 4"),
        (lambda s: StataAdapter(s, -1), "got a capacity of -1"),
        (lambda s: StataAdapter(s, 4, 0.0), "got an anchor of 0.0; expected a number above 0"),
        (lambda s: StataAdapter(s, 4, 1.0, -1), "got a softness of -1; expected a number above 0"),
    ],
)
def test_bad_settings(make: Callable[[Source], Adapter], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(source())
