"""Each adapter against its formula written down plainly: one client, one image at a time, loops; and published behaviours."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from iciia import (
    Adapter,
    BbseAdapter,
    Chunk,
    EmPriorAdapter,
    FinetunedHeadAdapter,
    KnnAdapter,
    LameAdapter,
    LastLabelAdapter,
    MajorityLabelAdapter,
    OraclePriorAdapter,
    PriorCorrectionAdapter,
    PromptAdapter,
    PrototypeAdapter,
    Source,
    T3aAdapter,
)
from iciia.adapters.prompt import train_prompt_layer
from iciia.cloud.calibration import confusion_matrix
from iciia.testing import example_chunk

Array = NDArray[np.float64]
D, C, N, T = 16, 6, 7, 24


def source() -> Source:
    """One that is neither calibrated nor uniform, with a confusion matrix of its own."""
    rng = np.random.default_rng(4)
    labels = np.arange(300) % C
    logits = rng.standard_normal((300, C)) + 2 * np.eye(C)[labels]
    prior = np.array([0.1, 0.3, 0.2, 0.1, 0.2, 0.1])
    return replace(Source.blank(D, C), temperature=1.7, prior=prior, confusion=confusion_matrix(logits, labels, 1.7))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def windows(rows: Array, capacity: int = N) -> list[Array]:
    """What each image is predicted with: the images before it, at most N, and itself."""
    return [rows[max(0, t - capacity) : t + 1] for t in range(len(rows))]


def knn(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = []
    for bank, p in zip(windows(unit(z)), windows(softmax(logits)), strict=True):
        nearest = np.argsort(-bank @ bank[-1], kind="stable")[:3]
        found.append(np.log(p[nearest].mean(axis=0)))
    return np.array(found)


def prototype(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = []
    for bank, window in zip(windows(z), windows(logits), strict=True):
        predicted = window.argmax(axis=1)
        scores = softmax(window[-1]) - 3
        for c in np.unique(predicted):
            scores[c] = unit(bank[predicted == c].mean(axis=0)) @ unit(bank[-1])
        found.append(scores)
    return np.array(found)


def t3a(z: Array, logits: Array, labels: Array, s: Source, supports: int | None = 2) -> Array:
    def entropy(x: Array) -> float:
        p = softmax(x)
        return float(-(p * np.log(p)).sum())

    assert s.weight is not None
    w = s.weight.astype(np.float64)
    kept = {c: [(entropy(w @ w[c]), unit(w[c]))] for c in range(C)}
    found = []
    for x, own in zip(z, logits, strict=True):
        c = int(own.argmax())
        kept[c] = sorted([*kept[c], (entropy(own), unit(x))], key=lambda one: one[0])[:supports]
        found.append([x @ unit(np.mean([support for _, support in kept[c]], axis=0)) for c in range(C)])
    return np.array(found)


def lame(z: Array, logits: Array, labels: Array, s: Source, affinity: float = 1.0) -> Array:
    found = []
    for bank, p in zip(windows(unit(z)), windows(softmax(logits)), strict=True):
        n = len(bank)
        distance = np.array([[np.linalg.norm(bank[i] - bank[j]) for j in range(n)] for i in range(n)])
        sigma = np.mean([np.sort(row)[min(5, n) - 1] for row in distance])
        w = np.exp(-(distance**2) / (2 * sigma**2)) if n > 1 else np.ones((1, 1))

        def energy(y: Array, p: Array = p, w: Array = w) -> float:
            return float((y * np.log(y / p)).sum() - affinity * (w * (y @ y.T)).sum())

        y, before = p, energy(p)
        for _ in range(100):
            y = softmax(np.log(p) + affinity * w @ y)
            now = energy(y)
            if abs(now - before) <= 1e-8 * abs(before):
                break
            before = now
        found.append(np.log(y[-1]))
    return np.array(found)


def em_prior(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = []
    for p in windows(softmax(logits / s.temperature)):
        q = s.prior
        for _ in range(100):
            posterior = q / s.prior * p
            posterior /= posterior.sum(axis=1, keepdims=True)
            change = np.abs(posterior.mean(axis=0) - q).sum()
            q = posterior.mean(axis=0)
            if change < 1e-4:
                break
        found.append(np.log(q / s.prior * p[-1]))
    return np.array(found)


def bbse(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = []
    for p in windows(softmax(logits / s.temperature)):
        a = s.confusion
        w = np.linalg.inv(a.T @ a + 1e-8 * np.eye(C)) @ a.T @ p.mean(axis=0)
        found.append(np.log(np.maximum(w.clip(0) * p[-1], 1e-300)))
    return np.array(found)


def prior_correction(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = []
    for p in windows(softmax(logits)):
        prior = p.mean(axis=0)
        smooth = max(1 / len(p), 1 / C) / prior.max()
        found.append(np.log(p[-1] * (prior + smooth) / (1 + smooth * C)))
    return np.array(found)


def last_label(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    return np.eye(C)[[0, *labels[:-1].astype(int)]]


def majority_label(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    found = [0]
    for t in range(1, len(labels)):
        past = labels[max(0, t - N) : t].astype(int).tolist()
        most = max(past.count(c) for c in past)
        found.append(next(c for c in reversed(past) if past.count(c) == most))
    return np.eye(C)[found]


def finetuned_head(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    """Trained on the first 20 images, in batches of 16 and 4, twice."""
    assert s.weight is not None
    w, b = s.weight.astype(np.float64), np.zeros(C)
    for _ in range(2):
        for part in (slice(0, 16), slice(16, 20)):
            x, y = z[part], labels[part].astype(int)
            error = (softmax(x @ w.T + b) - np.eye(C)[y]) / len(x)
            w, b = w - 0.1 * error.T @ x, b - 0.1 * error.sum(axis=0)
    return np.concatenate([logits[:20], z[20:] @ w.T + b])


def prompt(z: Array, logits: Array, labels: Array, s: Source) -> Array:
    assert s.prompt is not None
    layer, e = s.prompt.astype(np.float64), np.zeros(s.prompt.shape[1])
    for _ in range(2):
        for part in (slice(0, 16), slice(16, 20)):
            y = labels[part].astype(int)
            error = (softmax(logits[part] + layer @ e) - np.eye(C)[y]).mean(axis=0)
            e = e - 0.1 * layer.T @ error
    return np.concatenate([logits[:20], logits[20:] + layer @ e])


Plain = Callable[[Array, Array, Array, Source], Array]
CASES: list[tuple[Callable[[Source], Adapter], Plain]] = [
    (lambda s: KnnAdapter(s, N, 3), knn),
    (lambda s: PrototypeAdapter(s, N), prototype),
    (lambda s: T3aAdapter(s, 2), t3a),
    (lambda s: T3aAdapter(s, None), lambda *a: t3a(*a, supports=None)),
    (lambda s: LameAdapter(s, N), lame),
    (lambda s: LameAdapter(s, N, 3.0), lambda *a: lame(*a, affinity=3.0)),
    (lambda s: EmPriorAdapter(s, N), em_prior),
    (lambda s: BbseAdapter(s, N), bbse),
    (lambda s: PriorCorrectionAdapter(s, N), prior_correction),
    (lambda s: LastLabelAdapter(s), last_label),
    (lambda s: MajorityLabelAdapter(s, N), majority_label),
    (lambda s: FinetunedHeadAdapter(s, 20, 2, 0.1), finetuned_head),
    (lambda s: PromptAdapter(s, 20, 2, 0.1), prompt),
]


def example(sees: str) -> tuple[Chunk, Array]:
    """Streams of three clients, and their labels; the last label of a stream is nobody's past."""
    chunk = example_chunk("past_labels", steps=T)
    assert chunk.past_labels is not None
    labels = torch.cat([chunk.past_labels[:, 1:], torch.zeros(3, 1)], dim=1).double().numpy()
    return (chunk if sees == "past_labels" else Chunk(chunk.features, chunk.logits)), labels


@pytest.mark.parametrize(
    ("make", "plain"), CASES, ids=[f"{n}-{make(source()).kind}" for n, (make, _) in enumerate(CASES)]
)
def test_each_adapter_is_its_formula(make: Callable[[Source], Adapter], plain: Plain) -> None:
    s = source()
    adapter = make(s)
    chunk, labels = example(adapter.sees)
    state, parts = adapter.start(np.arange(3), 0), []
    for part in (slice(0, 5), slice(5, T)):
        past = None if chunk.past_labels is None else chunk.past_labels[:, part]
        scores, state = adapter.predict(state, Chunk(chunk.features[:, part], chunk.logits[:, part], past_labels=past))
        parts.append(scores)
    found = torch.cat(parts, dim=1).double().numpy()
    for k in range(3):
        z, logits = chunk.features[k].double().numpy(), chunk.logits[k].double().numpy()
        expected = plain(z, logits, labels[k], s)
        if adapter.gives == "label":
            assert found[k].argmax(axis=1).tolist() == expected.argmax(axis=1).tolist()
        elif adapter.gives == "ranking":
            np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_allclose(softmax(found[k]), softmax(expected), rtol=1e-4, atol=1e-6)
            assert found[k].argmax(axis=1).tolist() == expected.argmax(axis=1).tolist()


def test_t3a_with_its_starting_supports_alone() -> None:
    """argmax z.w_c / |w_c|: with one support a class, none is surer than the classifier is of its own rows."""
    rng = np.random.default_rng(0)
    s = replace(Source.blank(D, C), weight=50 * rng.standard_normal((C, D)).astype(np.float32))
    chunk, _ = example("images")
    adapter = T3aAdapter(s, 1)
    scores, state = adapter.predict(adapter.start(np.arange(3), 0), chunk)
    assert bool(state.row.all())
    assert s.weight is not None
    w = torch.from_numpy(s.weight)
    torch.testing.assert_close(scores, chunk.features @ (w / w.norm(dim=1, keepdim=True)).t())


def test_lame_without_affinity_is_the_backbone() -> None:
    chunk, _ = example("images")
    adapter = LameAdapter(source(), N, 0.0)
    scores, _ = adapter.predict(adapter.start(np.arange(3), 0), chunk)
    torch.testing.assert_close(scores, torch.log_softmax(chunk.logits, dim=-1), rtol=1e-5, atol=1e-5)


def test_em_with_a_long_window_approaches_the_oracle_prior() -> None:
    """Calibrated scores of a Gaussian model whose prior at the client is far from the source's: EM finds it."""
    rng = np.random.default_rng(2)
    steps, means = 1500, rng.standard_normal((C, 4)) * 1.2
    there = np.array([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])
    labels = rng.choice(C, steps, p=there)
    x = means[labels] + rng.standard_normal((steps, 4))
    here = np.full(C, 1 / C)
    logits = (
        torch.from_numpy(x @ means.T - 0.5 * (means**2).sum(axis=1)).float().unsqueeze(0)
    )  # exact posteriors under `here`
    s = replace(Source.blank(4, C), prior=here)
    chunk = Chunk(torch.zeros(1, steps, 4), logits, torch.from_numpy(there).float().expand(1, steps, C))
    found = {}
    for adapter in (EmPriorAdapter(s, 400), OraclePriorAdapter(s)):
        state, parts = adapter.start(np.arange(1), 0), []
        for start in range(0, steps, 100):
            part = slice(start, start + 100)
            assert chunk.prior is not None
            piece = Chunk(chunk.features[:, part], logits[:, part], chunk.prior[:, part])
            scores, state = adapter.predict(state, piece)
            parts.append(scores)
        found[adapter.kind] = torch.cat(parts, dim=1)[0, 500:]
    both = [torch.softmax(scores, dim=-1) for scores in found.values()]
    assert (both[0] - both[1]).abs().max(dim=1).values.mean() < 0.05
    right = {kind: (scores.argmax(-1).numpy() == labels[500:]).mean() for kind, scores in found.items()}
    backbone = (logits[0, 500:].argmax(-1).numpy() == labels[500:]).mean()
    assert right["oracle_prior"] - right["em_prior"] < 0.01
    assert right["em_prior"] - backbone > 0.05


def test_bbse_falls_back_where_nothing_is_left() -> None:
    """A confusion matrix that solves to negative weights for every class that is predicted."""
    s = replace(Source.blank(D, C), confusion=-np.eye(C) / C)
    chunk, _ = example("images")
    scores, _ = (adapter := BbseAdapter(s, N)).predict(adapter.start(np.arange(3), 0), chunk)
    torch.testing.assert_close(scores, torch.log_softmax(chunk.logits, dim=-1), rtol=1e-5, atol=1e-5)


def test_prompts_learn_what_differs_between_clients() -> None:
    """Two kinds of clients, whose classes are 0 to 2 or 3 to 5: the layer's first direction raises one half against the other."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (40, 16), generator=rng) + 3 * (torch.arange(40) % 2).unsqueeze(1)
    layer = train_prompt_layer(torch.zeros(40, 16, C), labels, seed=0)
    direction = np.linalg.svd(layer)[0][:, 0]
    assert len({*np.sign(direction[:3])}) == len({*np.sign(direction[3:])}) == 1
    assert np.sign(direction[0]) != np.sign(direction[3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: LameAdapter(s, 65), r"up to 435,600 multiply-adds for each class; 64 or less"),
        (lambda s: KnnAdapter(s, -1), "got a capacity of -1; expected an integer of 0 or more"),
        (lambda s: KnnAdapter(s, 4, 0), "got 0 neighbours"),
        (lambda s: MajorityLabelAdapter(s, 0), "expected an integer of 1 or more"),
        (lambda s: T3aAdapter(s, 0), "got 0 supports"),
        (lambda s: T3aAdapter(replace(s, weight=None)), "needs the weights of the backbone's classifier"),
        (lambda s: PromptAdapter(replace(s, prompt=None)), "the cloud has trained none"),
    ],
)
def test_bad_settings(make: Callable[[Source], Adapter], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(source())
