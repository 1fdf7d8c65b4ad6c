#!/usr/bin/python3
"""Writes the fixtures that the parity tests read: numbers computed by PyTorch in double precision.

usage: make_fixtures.py [NAME...]       NAME: optimizers, schedules, layers, gpt, ltc or cfc; all of them by default

Run by hand (`make fixtures FIXTURES=layers`) when a case is added; the tests themselves need neither Python nor PyTorch.
Needs numpy, h5py and torch (Debian: python3-h5py, python3-torch). Each case draws its numbers by its name, so that the
others stay as they are; on another processor optimizers and gpt differ in their last digits.

Inputs (weights, gradients, token tables) are rounded to float32 before use, so that both sides start from the
same numbers. Layers and optimizers that PyTorch 1.13 does not have (Lion, Muon, grouped queries, rotary
positions, RMSNorm, gated units) are written out here from their papers; attention is checked against
torch.nn.MultiheadAttention below.

    fixtures/optimizers.h5   25 updates of six small parameters by every optimizer
    fixtures/schedules.h5    learning rates of every schedule
    fixtures/layers.h5       logits, loss and all gradients of small models around each layer
    fixtures/gpt.h5          a small GPT: the same, and the losses of ten AdamW steps
    fixtures/ltc.h5          as layers.h5, of liquid time-constant networks; those with synapses by the cell of ncps, whose
                             version is in the file (a package of PyPI: `pip install ncps` for the Python that runs this)
    fixtures/cfc.h5          the same of closed-form continuous-time networks, all by ncps
"""
import math
import os
import sys
import zlib

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.stateless import functional_call

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def rounded(array):
    """The nearest float32 numbers, as doubles."""
    return np.asarray(array).astype(np.float32).astype(np.float64)


def flat(arrays):
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def put(group, name, array, dtype=np.float32):
    group.create_dataset(name, data=np.asarray(array, dtype=dtype), track_times=False)


def put_text(group, name, text):
    group.create_dataset(name, data=np.frombuffer(text.encode(), dtype=np.uint8), track_times=False)


def new_file(name):
    os.makedirs(FOLDER, exist_ok=True)
    return h5py.File(os.path.join(FOLDER, name), "w", libver="earliest")  # whose groups carry no times: same input, same bytes


# --- optimizers -------------------------------------------------------------------------------------------

# name, shape, decay, matrix, parts, learning rate multiplier; tests/parity/test_optimizers.c has the same table
PARAMETERS = [
    ("wide", (3, 8), True, True, 1, 1.0),
    ("tall", (8, 3), True, True, 1, 1.0),
    ("stacked", (12, 5), True, True, 3, 1.0),
    ("table", (5, 4), True, False, 1, 1.0),
    ("bias", (6,), False, False, 1, 1.0),
    ("fast", (4,), False, False, 1, 2.5),
]
UPDATES = 25
KEPT = (1, 2, 5, 25)  # updates after which the values are kept


class Lion(torch.optim.Optimizer):
    """arXiv 2302.06675, algorithm 2."""

    def __init__(self, groups, betas):
        super().__init__(groups, dict(betas=betas))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = b1 * m + (1 - b1) * p.grad
                p -= group["lr"] * (c.sign() + group["weight_decay"] * p)
                m.copy_(b2 * m + (1 - b2) * p.grad)


def newton_schulz(g, iterations):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Muon(torch.optim.Optimizer):
    """kellerjordan.github.io/posts/muon, with the momentum as a running mean; both scalings of the step."""

    def __init__(self, groups, momentum=0.95, nesterov=True, iterations=5, scaling="aspect"):
        super().__init__(groups, dict(momentum=momentum, nesterov=nesterov, iterations=iterations, scaling=scaling))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta = group["momentum"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.copy_(beta * m + (1 - beta) * p.grad)
                u = (1 - beta) * p.grad + beta * m if group["nesterov"] else m
                p *= 1 - group["lr"] * group["weight_decay"]
                for part, w in zip(u.chunk(group["parts"]), p.chunk(group["parts"])):
                    rows, columns = w.shape
                    scale = math.sqrt(max(1, rows / columns))
                    if group["scaling"] == "adamw":
                        scale = 0.2 * math.sqrt(max(rows, columns))
                    w -= group["lr"] * scale * newton_schulz(part, group["iterations"])


def groups_of(tensors, lr, weight_decay, chosen):
    return [
        dict(params=[t], lr=lr * row[5], weight_decay=weight_decay if row[2] else 0.0, lr_multiplier=row[5], parts=row[4])
        for t, row in zip(tensors, PARAMETERS)
        if chosen(row)
    ]


def everything(row):
    return True


def single(make):
    """A case of one torch optimizer over all parameters."""

    def build(tensors, lr, weight_decay):
        return [(make(groups_of(tensors, lr, weight_decay, everything)), 1.0)]

    return build


def muon(adam_lr, adam_betas, adam_epsilon, **settings):
    def build(tensors, lr, weight_decay):
        matrices = groups_of(tensors, lr, weight_decay, lambda row: row[3])
        others = groups_of(tensors, adam_lr, weight_decay, lambda row: not row[3])
        return [
            (Muon(matrices, **settings), 1.0),
            (torch.optim.AdamW(others, betas=adam_betas, eps=adam_epsilon), adam_lr / lr),
        ]

    return build


# name, settings as an experiment writes them, base rate, weight decay, clip (0: none), torch optimizers
OPTIMIZERS = [
    ("sgd", "{type: sgd, lr: 0.1, momentum: 0}", 0.1, 0, 0, single(lambda g: torch.optim.SGD(g, lr=0.1))),
    ("sgd_momentum", "{type: sgd, lr: 0.05, momentum: 0.9}", 0.05, 0, 0,
     single(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9))),
    ("sgd_nesterov", "{type: sgd, lr: 0.05, momentum: 0.8, nesterov: true, weight_decay: 0.3}", 0.05, 0.3, 0,
     single(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.8, nesterov=True))),
    ("sgd_dampening", "{type: sgd, lr: 0.05, momentum: 0.9, dampening: 0.4}", 0.05, 0, 0,
     single(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9, dampening=0.4))),
    ("sgd_dampening_alone", "{type: sgd, lr: 0.05, momentum: 0, dampening: 0.4}", 0.05, 0, 0,
     single(lambda g: torch.optim.SGD(g, lr=0.1, dampening=0.4))),
    ("sgd_clip", "{type: sgd, lr: 0.5, momentum: 0.9, weight_decay: 0.1}", 0.5, 0.1, 1.0,
     single(lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.9))),
    ("rmsprop", "{type: rmsprop, lr: 0.01}", 0.01, 0, 0,
     single(lambda g: torch.optim.RMSprop(g, lr=0.1, alpha=0.99, eps=1e-8))),
    ("rmsprop_decay", "{type: rmsprop, lr: 0.01, alpha: 0.9, epsilon: 1.0e-3, weight_decay: 0.2}", 0.01, 0.2, 0,
     single(lambda g: torch.optim.RMSprop(g, lr=0.1, alpha=0.9, eps=1e-3))),
    ("adam", "{type: adam, lr: 0.02}", 0.02, 0, 0, single(lambda g: torch.optim.Adam(g, lr=0.1))),
    ("adam_decay", "{type: adam, lr: 0.02, betas: [0.8, 0.99], weight_decay: 0.3}", 0.02, 0.3, 0,
     single(lambda g: torch.optim.Adam(g, lr=0.1, betas=(0.8, 0.99)))),
    ("adamw", "{type: adamw, lr: 0.02, betas: [0.9, 0.999], weight_decay: 0.01}", 0.02, 0.01, 0,
     single(lambda g: torch.optim.AdamW(g, lr=0.1))),
    ("adamw_clip", "{type: adamw, lr: 0.02, betas: [0.9, 0.95], epsilon: 1.0e-2, weight_decay: 0.5}", 0.02, 0.5, 1.0,
     single(lambda g: torch.optim.AdamW(g, lr=0.1, betas=(0.9, 0.95), eps=1e-2))),
    ("lion", "{type: lion, lr: 0.01, weight_decay: 0}", 0.01, 0, 0, single(lambda g: Lion(g, (0.9, 0.99)))),
    ("lion_decay", "{type: lion, lr: 0.01, betas: [0.95, 0.98], weight_decay: 1.5}", 0.01, 1.5, 0,
     single(lambda g: Lion(g, (0.95, 0.98)))),
    ("muon", "{type: muon, lr: 0.02, adam_lr: 0.003}", 0.02, 0, 0, muon(0.003, (0.9, 0.95), 1e-10)),
    ("muon_adamw_scaling",
     "{type: muon, lr: 0.01, weight_decay: 0.4, momentum: 0.9, nesterov: false, iterations: 4, scaling: adamw, "
     "adam_lr: 0.02, adam_betas: [0.8, 0.9], adam_epsilon: 1.0e-6}", 0.01, 0.4, 1.0,
     muon(0.02, (0.8, 0.9), 1e-6, momentum=0.9, nesterov=False, iterations=4, scaling="adamw")),
]


def write_optimizers():
    # Under another seed a gradient may cancel its weight decay to a few digits; Adam divides by what is left.
    rng = np.random.default_rng(5)
    start = [rounded(rng.normal(size=row[1])) for row in PARAMETERS]
    # Gradients that keep a direction and change their size, so that running means are far from zero.
    drift = [rng.normal(size=row[1]) for row in PARAMETERS]
    gradients = [
        [rounded((rng.normal(size=d.shape) + d) * math.exp(rng.normal())) for d in drift] for _ in range(UPDATES)
    ]
    rates = [1 - t / 50 for t in range(UPDATES)]  # of the base rate: optimizers must follow a schedule
    with new_file("optimizers.h5") as file:
        put(file, "start", flat(start))
        put(file, "gradients", np.stack([flat(g) for g in gradients]))
        put(file, "rates", rates, np.float64)
        put(file, "kept", KEPT, np.int32)
        for name, settings, lr, weight_decay, clip, build in OPTIMIZERS:
            tensors = [torch.tensor(v, requires_grad=True) for v in start]
            optimizers = build(tensors, lr, weight_decay)
            after = []
            for t in range(UPDATES):
                for tensor, g in zip(tensors, gradients[t]):
                    tensor.grad = torch.tensor(g)
                if clip:
                    torch.nn.utils.clip_grad_norm_(tensors, clip)
                for optimizer, ratio in optimizers:
                    for group in optimizer.param_groups:
                        group["lr"] = lr * rates[t] * ratio * group["lr_multiplier"]
                    optimizer.step()
                if t + 1 in KEPT:
                    after.append(flat([x.detach().numpy() for x in tensors]))
            group = file.create_group("cases/" + name)
            put_text(group, "settings", settings)
            put(group, "clip", [clip], np.float64)
            put(group, "values", np.stack(after), np.float64)


# --- schedules --------------------------------------------------------------------------------------------


def torch_rates(make, lr, steps, per_epoch=1):
    """Rates of updates 0 .. steps-1; the scheduler steps after each update, or after every per_epoch of them."""
    p = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for t in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (t + 1) % per_epoch == 0 and t + 1 < steps:
            scheduler.step()
    return rates


def write_schedules():
    S = torch.optim.lr_scheduler
    lr = 0.3
    # name, settings, steps, steps per epoch, torch scheduler
    cases = [
        ("step", "{type: step, period: 7, gamma: 0.3}", 40, 0, lambda o: S.StepLR(o, 7, 0.3)),
        ("milestones", "{type: step, milestones: [5, 6, 30], gamma: 0.5}", 40, 0,
         lambda o: S.MultiStepLR(o, [5, 6, 30], 0.5)),
        ("exponential_step", "{type: exponential, per: step, gamma: 0.93}", 40, 0, lambda o: S.ExponentialLR(o, 0.93)),
        ("exponential_epoch", "{type: exponential, per: epoch, gamma: 0.8}", 40, 6, lambda o: S.ExponentialLR(o, 0.8)),
        ("cosine", "{type: cosine}", 40, 0, lambda o: S.CosineAnnealingLR(o, 40)),
        ("cosine_floor", "{type: cosine, min_lr: 0.03}", 33, 0, lambda o: S.CosineAnnealingLR(o, 33, 0.03)),
        ("linear", "{type: linear, min_lr: 0.06}", 40, 0, lambda o: S.LinearLR(o, 1.0, 0.06 / lr, 40)),
        ("one_cycle", "{type: one_cycle}", 40, 0,
         lambda o: S.OneCycleLR(o, lr, total_steps=40, cycle_momentum=False)),
        ("one_cycle_shaped", "{type: one_cycle, up_fraction: 0.45, start_divisor: 10, end_divisor: 50}", 57, 0,
         lambda o: S.OneCycleLR(o, lr, total_steps=57, pct_start=0.45, div_factor=10, final_div_factor=50,
                                cycle_momentum=False)),
    ]
    plateaus = [
        ("plateau", "{type: plateau, patience: 2, factor: 0.5}", dict(patience=2, factor=0.5)),
        ("plateau_cooldown", "{type: plateau, patience: 1, factor: 0.3, cooldown: 3, threshold: 0.01, min_lr: 0.01}",
         dict(patience=1, factor=0.3, cooldown=3, threshold=0.01, min_lr=0.01)),
        ("plateau_tiny", "{type: plateau, patience: 0, factor: 0.01}", dict(patience=0, factor=0.01)),
    ]
    rng = np.random.default_rng(2)
    losses = 2 + np.exp(-np.arange(60) / 8) + 0.01 * rng.normal(size=60)
    with new_file("schedules.h5") as file:
        put(file, "lr", [lr], np.float64)
        put(file, "losses", losses, np.float64)
        for name, settings, steps, per_epoch, make in cases:
            group = file.create_group("cases/" + name)
            put_text(group, "settings", settings)
            put(group, "steps_per_epoch", [per_epoch], np.int32)
            put(group, "rates", torch_rates(make, lr, steps, max(per_epoch, 1)), np.float64)
        for name, settings, arguments in plateaus:
            p = torch.zeros(1, requires_grad=True)
            optimizer = torch.optim.SGD([p], lr=lr)
            scheduler = S.ReduceLROnPlateau(optimizer, **arguments)
            rates = []
            for loss in losses:
                scheduler.step(loss)
                rates.append(optimizer.param_groups[0]["lr"])
            group = file.create_group("plateaus/" + name)
            put_text(group, "settings", settings)
            put(group, "rates", rates, np.float64)


# --- layers -----------------------------------------------------------------------------------------------

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x) ** 2,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
GATES = {"swiglu": F.silu, "geglu": F.gelu, "glu": torch.sigmoid}


class Weights:
    """Parameters by name; a layer asks for those it needs, with the size of their random values."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.tensors = {}

    def __call__(self, name, shape, spread, center=0.0):
        if name not in self.tensors:
            values = rounded(center + spread * self.rng.normal(size=shape))
            self.tensors[name] = torch.tensor(values, requires_grad=True)
        return self.tensors[name]


def linear(w, path, x, out, bias=True):
    fan_in = x.shape[-1]
    weight = w(path + "weight", (out, fan_in), 1.5 / math.sqrt(fan_in))
    return F.linear(x, weight, w(path + "bias", (out,), 0.3) if bias else None)


def mlp(w, path, x, hidden, activation="gelu", bias=True):
    gated = activation in GATES
    h = linear(w, path + "fc1.", x, 2 * hidden if gated else hidden, bias)
    if gated:
        gate, value = h.chunk(2, dim=-1)
        h = GATES[activation](gate) * value
    else:
        h = ACTIVATIONS[activation](h)
    return linear(w, path + "fc2.", h, x.shape[-1], bias)


def layernorm(w, path, x, bias=True, epsilon=1e-5):
    width = x.shape[-1]
    beta = w(path + "bias", (width,), 0.3) if bias else None
    return F.layer_norm(x, (width,), w(path + "weight", (width,), 0.3, 1.0), beta, epsilon)


def rms(x, gain, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * gain


def rmsnorm(w, path, x, epsilon=1e-5):
    return rms(x, w(path + "weight", (x.shape[-1],), 0.3, 1.0), epsilon)


def rotate(x, dim, base):
    """Rotary positions on the first dim elements of the last axis of (.., time, head), pairing i with i + dim/2."""
    half = dim // 2
    angle = torch.arange(x.shape[-2])[:, None] * base ** (-2.0 * torch.arange(half) / dim)
    u, v, rest = x[..., :half], x[..., half:dim], x[..., dim:]
    c, s = angle.cos(), angle.sin()
    return torch.cat([u * c - v * s, u * s + v * c, rest], dim=-1)


def attention(w, path, x, heads, kv_heads=0, head_size=0, window=0, bias=True, rope=False, rope_dim=0,
              rope_base=10000.0, qk_norm=False, projections="all", learned_scale=False):
    batch, time, width = x.shape
    kv_heads = kv_heads or heads
    size = head_size or width // heads
    if projections == "none":
        qkv = torch.cat([x, x, x], dim=-1)
    else:
        qkv = linear(w, path + "in_proj_", x, (heads + 2 * kv_heads) * size, bias)
    q, k, v = (
        part.reshape(batch, time, -1, size).transpose(1, 2)
        for part in qkv.split([heads * size, kv_heads * size, kv_heads * size], dim=-1)
    )
    if qk_norm:
        q = rms(q, w(path + "q_norm.weight", (size,), 0.3, 1.0), 1e-5)
        k = rms(k, w(path + "k_norm.weight", (size,), 0.3, 1.0), 1e-5)
    if rope:
        q, k = (rotate(part, rope_dim or size, rope_base) for part in (q, k))
    k, v = (part.repeat_interleave(heads // kv_heads, dim=1) for part in (k, v))
    i, j = torch.arange(time)[:, None], torch.arange(time)[None, :]
    visible = (j <= i) & ((j > i - window) if window else torch.tensor(True))
    scale = w(path + "scale", (1,), 0.1, 0.4) if learned_scale else 1 / math.sqrt(size)
    scores = (scale * (q @ k.transpose(-1, -2))).masked_fill(~visible, -math.inf)
    o = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, heads * size)
    return linear(w, path + "out_proj.", o, width, bias) if projections == "all" else o


def recurrent(kind):
    """torch.nn.LSTM or torch.nn.GRU, on weights of ours."""
    gates = {"lstm": 4, "gru": 3}[kind]

    def layer(w, path, x, hidden=0, layers=1, bias=True):
        width = x.shape[-1]
        hidden = hidden or width
        weights = []
        for i in range(layers):
            inputs = hidden if i else width
            weights.append(w(path + "weight_ih_l%d" % i, (gates * hidden, inputs), 1.2 / math.sqrt(inputs)))
            weights.append(w(path + "weight_hh_l%d" % i, (gates * hidden, hidden), 1.2 / math.sqrt(hidden)))
            if bias:
                weights.append(w(path + "bias_ih_l%d" % i, (gates * hidden,), 0.5))
                weights.append(w(path + "bias_hh_l%d" % i, (gates * hidden,), 0.5))
        first = torch.zeros(layers, x.shape[0], hidden)
        function = getattr(torch, kind)
        # weights, biases, layers, dropout, training, both directions, batch first
        return function(x, (first, first) if kind == "lstm" else first, weights, bias, layers, 0.0, True, False, True)[0]

    return layer


def conv_gate(w, path, x, kernel=4, hidden=2048):
    width = x.shape[-1]
    spread = 1.5 / math.sqrt(width * kernel)
    weight, bias = w(path + "conv.weight", (width, width, kernel), spread), w(path + "conv.bias", (width,), 0.3)
    c = F.conv1d(F.pad(x.transpose(1, 2), (kernel - 1, 0)), weight, bias).transpose(1, 2)
    u = c * torch.sigmoid(linear(w, path + "gate.", c, width))
    return linear(w, path + "fc2.", F.relu(linear(w, path + "fc1.", u, hidden)), width)


def hyena_filter(w, path, hidden, channels, l_max, emb_dim=33, inner_layers=2, slow_decay_pct=1.5, fast_decay_pct=0.3,
                 target=0.01, shift=0.0, normalize="none", positions_lr_multiplier=0.0, decay_lr_multiplier=0.0):
    """Taps by channel, (l_max, channels), of arXiv 2302.10866, section 3.3."""
    bands = (emb_dim - 1) // 2
    t = torch.linspace(0, 1, l_max)[:, None]
    angle = 2 * math.pi * torch.arange(l_max)[:, None] / l_max * torch.linspace(1e-4, bands - 1, bands)
    if positions_lr_multiplier:
        a = w(path + "pos_emb.z", (1, l_max, emb_dim), 0.5)[0]
    else:
        a = torch.cat([t, angle.cos(), -angle.sin()], dim=1)
    frequency = w(path + "implicit_filter.1.freq", (1, hidden), 0.3, 2.0)
    for i in range(inner_layers + 1):
        a = torch.sin(frequency * linear(w, path + "implicit_filter.%d." % (2 * i), a, hidden))
    h = linear(w, path + "implicit_filter.%d." % (2 * inner_layers + 2), a, channels, bias=False)
    if decay_lr_multiplier:
        rates = w(path + "modulation.deltas", (1, 1, channels), 6.0)[0]
    else:
        rates = torch.linspace(math.log(target) / slow_decay_pct, math.log(target) / fast_decay_pct, channels)
    h = h * (torch.exp(-t * rates.abs()) + shift)
    return h / h.abs().sum(0) if normalize == "time_l1" else h


def convolve(x, taps, skip):
    """Every channel of x (batch, time, width) with its column of taps, term by term."""
    time = x.shape[1]
    lag = torch.arange(time)[:, None] - torch.arange(time)[None, :]
    matrix = torch.where((lag >= 0)[..., None], taps[lag.clamp(min=0)], torch.tensor(0.0))
    return torch.einsum("tsc,bsc->btc", matrix, x) + skip * x


def hyena(w, path, x, order=2, variant="safari", l_max=0, short_filter_order=3, filter_width=64, activation="none", bias=True,
          **filter_settings):
    batch, time, width = x.shape
    rows = linear(w, path + "in_proj.", x, (order + 1) * width, bias)
    short = w(path + "short_filter.weight", ((order + 1) * width, 1, short_filter_order), 0.5)
    short_bias = w(path + "short_filter.bias", ((order + 1) * width,), 0.3) if bias else None
    padded = F.pad(rows.transpose(1, 2), (short_filter_order - 1, 0))
    *gates, z = F.conv1d(padded, short, short_bias, groups=(order + 1) * width).transpose(1, 2).split(width, dim=2)
    count = order if variant == "paper" else order - 1
    skips = w(path + "filter_fn.bias", (width * count,), 1.0).reshape(width, count)
    taps = hyena_filter(w, path + "filter_fn.", filter_width, width * count, l_max or time, **filter_settings)
    taps = taps.reshape(-1, width, count)
    for o, gate in enumerate(reversed(gates if variant == "paper" else gates[1:])):
        if variant == "paper":
            z = gate * convolve(z, taps[:, :, o], skips[:, o])
        else:
            z = convolve(gate * z, taps[:, :, o], skips[:, o])
    if variant != "paper":
        z = gates[0] * z
    return linear(w, path + "out_proj.", ACTIVATIONS[activation](z) if activation != "none" else z, width, bias)


def long_conv(w, path, x, threshold=0.003, glu=True, bias=True):
    time, width = x.shape[1:]
    taps = F.softshrink(w(path + "filter", (time, width), 0.2), threshold)
    y = F.gelu(convolve(x, taps, w(path + "skip", (width,), 0.7)))
    y = linear(w, path + "out_proj.", y, 2 * width if glu else width, bias)
    return F.glu(y.roll(width, -1)) if glu else y  # our gate is the first half


def embedding(w, path, ids, vocabulary, width, scale=1.0, spread=1.0):
    return scale * F.embedding(ids, w(path + "weight", (vocabulary, width), spread))


def sinusoidal(x):
    time, width = x.shape[1:]
    i = torch.arange(width)
    angle = torch.arange(time)[:, None] * 10000.0 ** (-2.0 * (i // 2) / width)
    return x + torch.where(i % 2 == 1, angle.cos(), angle.sin())


def check_attention():
    """Our attention is torch.nn.MultiheadAttention's when it has no extras."""
    w = Weights(3)
    x = torch.tensor(w.rng.normal(size=(2, 7, 12)))
    ours = attention(w, "", x, heads=3)
    module = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    module.load_state_dict({name: t.detach() for name, t in w.tensors.items()})
    mask = torch.triu(torch.ones(7, 7, dtype=torch.bool), diagonal=1)
    theirs, _ = module(x, x, x, attn_mask=mask, need_weights=False)
    assert (ours - theirs).abs().max() < 1e-14


WIDTH = 20  # of the models around single layers, and their vocabulary


def around(layer, scale=1.0, spread=1.0):
    """embedding, then the layer, whose output is taken as the logits."""
    return lambda w, ids: layer(w, embedding(w, "embedding/", ids, WIDTH, WIDTH, scale, spread))


def residual_blocks(w, ids):
    """Pre-norm blocks whose norms and branches differ, in branches side by side and nested."""
    x = embedding(w, "embedding/", ids, WIDTH, WIDTH)
    for i in range(2):
        path = "repeat/%d/" % i
        x = x + attention(w, path + "residual1/attention/", rmsnorm(w, path + "residual1/rmsnorm/", x), 4)
        x = x + mlp(w, path + "residual2/mlp/", layernorm(w, path + "residual2/layernorm/", x), 16, "silu")
    gate = torch.sigmoid(linear(w, "parallel1/0/linear/", x, WIDTH))
    x = gate * linear(w, "parallel1/1/linear/", x, WIDTH)
    a, b = linear(w, "parallel2/0/linear/", x, 8), torch.tanh(linear(w, "parallel2/1/linear/", x, 5))
    x = linear(w, "linear/", torch.cat([a, b], dim=-1), WIDTH)
    x = x + linear(w, "parallel3/1/linear/", x, WIDTH)
    return F.linear(layernorm(w, "layernorm/", x), w.tensors["embedding/weight"])


def layer_cases():
    """name -> (layers in YAML, model, batch, time)"""
    cases = {}

    def add(name, yaml, model, batch=2, time=10):
        cases[name] = (yaml, model, batch, time)

    def settings(arguments):
        def text(v):
            return str(v).lower() if isinstance(v, bool) else str(v)

        return "{" + ", ".join("%s: %s" % (k, text(v)) for k, v in arguments.items()) + "}"

    def simple(name, kind, function, **arguments):
        add(name, "[embedding, {%s: %s}]" % (kind, settings(arguments)),
            around(lambda w, x: function(w, kind + "/", x, **arguments)))

    simple("linear", "linear", linear, out=WIDTH)
    simple("linear_no_bias", "linear", linear, out=WIDTH, bias=False)
    for activation in list(ACTIVATIONS) + list(GATES):
        simple("mlp_" + activation, "mlp", mlp, hidden=12, activation=activation)
    simple("mlp_no_bias", "mlp", mlp, hidden=12, bias=False)
    for name, function in ACTIVATIONS.items():
        if name in ("gelu", "silu"):
            add("activation_" + name, "[embedding, {activation: {type: %s}}]" % name,
                around(lambda w, x, f=function: f(x)))
    simple("layernorm", "layernorm", layernorm)
    simple("layernorm_no_bias", "layernorm", layernorm, bias=False, epsilon=0.01)
    simple("rmsnorm", "rmsnorm", rmsnorm)
    simple("attention", "attention", attention, heads=4)
    simple("attention_no_bias", "attention", attention, heads=5, bias=False)
    simple("attention_grouped", "attention", attention, heads=4, kv_heads=2)
    simple("attention_multi_query", "attention", attention, heads=5, kv_heads=1, head_size=6)
    simple("attention_rotary", "attention", attention, heads=2, rope=True)
    simple("attention_rotary_part", "attention", attention, heads=4, rope=True, rope_dim=2, rope_base=50.0)
    simple("attention_window", "attention", attention, heads=4, window=3)
    simple("attention_qk_norm", "attention", attention, heads=4, qk_norm=True)
    everything_on = dict(heads=6, kv_heads=2, head_size=4, window=5, rope=True, qk_norm=True, bias=False)
    simple("attention_all", "attention", attention, **everything_on)
    for name, arguments in (("attention_long", dict(heads=4)), ("attention_long_all", dict(everything_on, window=37))):
        add(name, "[embedding, {attention: %s}]" % settings(arguments),
            around(lambda w, x, a=arguments: attention(w, "attention/", x, **a)), batch=1, time=150)
    def before_linear(name, kind, function, batch=2, time=10, **arguments):
        """The same with a linear map behind it, since the loss overwrites its input."""
        add(name, "[embedding, {%s: %s}, {linear: {out: %d}}]" % (kind, settings(arguments), WIDTH),
            around(lambda w, x: linear(w, "linear/", function(w, kind + "/", x, **arguments), WIDTH)), batch, time)

    before_linear("attention_of_inputs", "attention", attention, heads=1, projections="none", learned_scale=True)
    before_linear("attention_without_output", "attention", attention, heads=4, projections="qkv")
    simple("attention_learned_scale", "attention", attention, heads=4, kv_heads=2, head_size=5, learned_scale=True)
    for kind in ("lstm", "gru"):
        before_linear(kind, kind, recurrent(kind))
        before_linear(kind + "_two_layers", kind, recurrent(kind), hidden=17, layers=2)
        before_linear(kind + "_no_bias", kind, recurrent(kind), hidden=33, bias=False)
        before_linear(kind + "_long", kind, recurrent(kind), batch=1, time=150)
    small = dict(emb_dim=5, filter_width=8)
    simple("hyena", "hyena", hyena, **small)
    simple("hyena_third_order", "hyena", hyena, order=3, inner_layers=1, short_filter_order=4, activation="gelu", **small)
    simple("hyena_paper", "hyena", hyena, variant="paper", emb_dim=3, filter_width=9, inner_layers=0, bias=False)
    simple("hyena_paper_first_order", "hyena", hyena, order=1, variant="paper", l_max=17, shift=0.1, **small)
    simple("hyena_normalised", "hyena", hyena, l_max=17, normalize="time_l1", order=3, **small)
    simple("hyena_all_learned", "hyena", hyena, l_max=17, slow_decay_pct=2.0, fast_decay_pct=0.2, target=0.1,
           positions_lr_multiplier=0.1, decay_lr_multiplier=0.1, **small)
    add("hyena_long", "[embedding, {hyena: {l_max: 200, filter_width: 24}}]",
        around(lambda w, x: hyena(w, "hyena/", x, l_max=200, filter_width=24)), batch=1, time=150)
    add("tied", "[embedding, layernorm, unembedding]",
        lambda w, ids: F.linear(layernorm(w, "layernorm/", embedding(w, "embedding/", ids, WIDTH, 12)),
                                w.tensors["embedding/weight"]))
    add("untied", "[{embedding: {scale: 2.5}}, {unembedding: {tied: false, bias: true}}]",
        lambda w, ids: linear(w, "unembedding/", embedding(w, "embedding/", ids, WIDTH, 12, 2.5), WIDTH))
    add("positions", "[embedding, positions, unembedding]",
        lambda w, ids: F.linear(embedding(w, "embedding/", ids, WIDTH, 12) + w("positions/weight", (10, 12), 0.7),
                                w.tensors["embedding/weight"]))
    add("sinusoidal", "[embedding, {positions: {type: sinusoidal}}, unembedding]",
        lambda w, ids: F.linear(sinusoidal(embedding(w, "embedding/", ids, WIDTH, 13)), w.tensors["embedding/weight"]))
    add("blocks",
        "[embedding, {repeat: {times: 2, layers: [{residual: [rmsnorm, {attention: {heads: 4}}]}, "
        "{residual: [layernorm, {mlp: {hidden: 16, activation: silu}}]}]}}, "
        "{parallel: {combine: product, branches: [[linear, {activation: {type: sigmoid}}], [linear]]}}, "
        "{parallel: {combine: concat, branches: [[{linear: {out: 8}}], [{linear: {out: 5}}, {activation: {type: tanh}}]]}}, "
        "linear, {parallel: {branches: [[], [linear]]}}, layernorm, unembedding]", residual_blocks)
    simple("conv_gate", "conv_gate", conv_gate, hidden=30)
    simple("conv_gate_short", "conv_gate", conv_gate, kernel=1, hidden=12)
    simple("conv_gate_wide", "conv_gate", conv_gate, kernel=13, hidden=25)
    simple("explicit_conv", "long_conv", long_conv, threshold=0.1)
    simple("explicit_conv_plain", "long_conv", long_conv, threshold=0.0, glu=False, bias=False)
    add("explicit_conv_long", "[embedding, {long_conv: {threshold: 0.05}}]",
        around(lambda w, x: long_conv(w, "long_conv/", x, 0.05)), batch=1, time=150)
    return cases


def write_model(group, w, logits, losses, loss, ids, targets):
    put(group, "ids", ids.numpy(), np.int32)
    put(group, "targets", targets.numpy(), np.int32)
    put(group, "logits", logits.detach().numpy())
    put(group, "losses", losses.detach().numpy())
    put(group, "loss", [loss.item()], np.float64)
    # One array of all parameters, one after the other, and a line of text for each: name and number of values.
    put_text(group, "parameters", "".join("%s %d\n" % (name, t.numel()) for name, t in w.tensors.items()))
    put(group, "values", flat(t.detach().numpy() for t in w.tensors.values()))
    put(group, "gradients", flat(t.grad.numpy() for t in w.tensors.values()))


def cross_entropy(logits, targets):
    """Losses by token and their mean over the targets that are not ignored (negative)."""
    flat = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-1, reduction="none")
    losses = flat.reshape(targets.shape)
    return losses, losses.sum() / (targets >= 0).sum()


def write_cases(file, cases):
    for name, (yaml, model, batch, time) in cases.items():
        w = Weights(zlib.crc32(name.encode()))
        count = batch * time
        # Every id once where there are enough of them: the table's gradient is then the layer's input gradient.
        ids = w.rng.permutation(WIDTH)[:count] if count <= WIDTH else w.rng.integers(0, WIDTH, count)
        targets = w.rng.integers(0, WIDTH, count)
        targets[w.rng.integers(0, count)] = -1
        ids, targets = (torch.tensor(t.reshape(batch, time)) for t in (ids, targets))
        logits = model(w, ids)
        losses, loss = cross_entropy(logits, targets)
        loss.backward()
        group = file.create_group("cases/" + name)
        width = w.tensors["embedding/weight"].shape[1]
        put_text(group, "model", "model: {width: %d, layers: %s}" % (width, yaml))
        write_model(group, w, logits, losses, loss, ids, targets)


def write_layers():
    check_attention()
    with new_file("layers.h5") as file:
        write_cases(file, layer_cases())


# --- liquid time-constant networks ------------------------------------------------------------------------


def ltc_neural(w, path, x, hidden, solver="semi_implicit", steps=6, activation="sigmoid", adaptive=True, abs_gate=True):
    """arXiv 2006.04439, equations 1 and 3."""
    act = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[activation]
    across = linear(w, path + "input.", x, hidden)
    weight = w(path + "recurrent.weight", (hidden, hidden), 1 / math.sqrt(hidden))
    amplitude = w(path + "amplitude", (hidden,), 1.0)
    step = 1 / steps
    beyond = 1 if adaptive else 0
    least = {"semi_implicit": 0.05, "euler": 1 / (1 / step - beyond), "rk4": 1 / (2.7 / step - beyond)}[solver]
    tau = least + F.softplus(w(path + "tau_raw", (hidden,), 0.3, 0.5))
    v, outputs = torch.zeros(x.shape[0], hidden), []

    def sides(v, u):
        f = act(u + v @ weight.T)
        return f * amplitude, 1 / tau + ((f.abs() if abs_gate else f) if adaptive else 0)

    def slope(v, u):
        drive, decay = sides(v, u)
        return drive - decay * v

    for t in range(x.shape[1]):
        u = across[:, t]
        for _ in range(steps):
            if solver == "semi_implicit":
                drive, decay = sides(v, u)
                v = (v + step * drive) / (1 + step * decay)
            elif solver == "euler":
                v = v + step * slope(v, u)
            else:
                a = slope(v, u)
                b = slope(v + step / 2 * a, u)
                c = slope(v + step / 2 * b, u)
                d = slope(v + step * c, u)
                v = v + step / 6 * (a + 2 * b + 2 * c + d)
        outputs.append(v)
    return torch.stack(outputs, 1)


def ltc_synapses(w, path, x, hidden, steps=6):
    """The cell of ncps, without its maps of inputs and outputs, on weights of ours."""
    from ncps.torch import LTCCell
    from ncps.wirings import FullyConnected

    width = x.shape[-1]
    cell = LTCCell(FullyConnected(hidden), width, input_mapping=None, output_mapping=None, ode_unfolds=steps)
    for prefix, rows in (("sensory_", width), ("", hidden)):
        shape = (rows, hidden)
        cell._params[prefix + "w"] = 1e-5 + F.softplus(w(path + prefix + "w_raw", shape, 1.0, -1.0))
        cell._params[prefix + "sigma"] = w(path + prefix + "sigma", shape, 1.0, 4.0)
        cell._params[prefix + "mu"] = w(path + prefix + "mu", shape, 0.3, 0.5)
        cell._params[prefix + "erev"] = w(path + prefix + "erev", shape, 1.0)
    cell._params["gleak"] = 1e-5 + F.softplus(w(path + "gleak_raw", (hidden,), 1.0))
    cell._params["vleak"] = w(path + "vleak", (hidden,), 0.2)
    cell._params["cm"] = 1e-6 + F.softplus(w(path + "cm_raw", (hidden,), 0.3))
    v, outputs = torch.zeros(x.shape[0], hidden), []
    for t in range(x.shape[1]):
        output, v = cell(x[:, t], v)
        outputs.append(output)
    return torch.stack(outputs, 1)


def ltc_cases():
    cases = {}

    def add(name, function, batch=2, time=10, **arguments):
        settings = "".join(", %s: %s" % (k, str(v).lower()) for k, v in arguments.items())
        form = "synapses" if function is ltc_synapses else "neural"
        cases[name] = ("[embedding, {ltc: {form: %s%s}}, {linear: {out: %d}}]" % (form, settings, WIDTH),
                       around(lambda w, x: linear(w, "linear/", function(w, "ltc/", x, **arguments), WIDTH)), batch, time)

    add("ltc", ltc_neural, hidden=23)
    add("ltc_long", ltc_neural, batch=1, time=150, hidden=WIDTH)
    add("ltc_tanh", ltc_neural, hidden=17, activation="tanh", steps=3)
    add("ltc_tanh_signed", ltc_neural, hidden=9, activation="tanh", abs_gate=False)
    add("ltc_fixed", ltc_neural, hidden=WIDTH, adaptive=False)
    add("ltc_euler", ltc_neural, hidden=WIDTH, solver="euler")
    add("ltc_rk4", ltc_neural, hidden=33, solver="rk4", steps=2)
    add("ltc_synapses", ltc_synapses, hidden=WIDTH)
    add("ltc_synapses_few_steps", ltc_synapses, hidden=7, steps=2)
    add("ltc_synapses_long", ltc_synapses, batch=1, time=150, hidden=11)
    return cases


def write_with_ncps(name, cases):
    try:
        from importlib.metadata import version

        made_by = "ncps %s, torch %s" % (version("ncps"), torch.__version__)
    except ImportError:
        sys.exit("%s needs ncps, which this Python does not have: pip install ncps" % name)
    with new_file(name) as file:
        put_text(file, "made_by", made_by)
        write_cases(file, cases)


def write_ltc():
    write_with_ncps("ltc.h5", ltc_cases())


# --- closed-form continuous-time networks -----------------------------------------------------------------


def cfc(w, path, x, hidden, mode="default", backbone_layers=1, backbone_units=128):
    """The network of ncps, on weights of ours."""
    from ncps.torch import CfC

    net = CfC(x.shape[-1], hidden, mode=mode, backbone_layers=backbone_layers, backbone_units=backbone_units)
    weights = {}
    for name, p in net.rnn_cell.named_parameters():
        spread = 1.2 / math.sqrt(p.shape[1]) if name.endswith("weight") else 0.3
        weights["rnn_cell." + name] = w(path + name, tuple(p.shape), spread, 1.0 if name == "A" else 0.0)
    return functional_call(net, weights, (x,))[0]


def cfc_cases():
    cases = {}

    def add(name, batch=2, time=10, **arguments):
        settings = ", ".join("%s: %s" % item for item in arguments.items())
        cases[name] = ("[embedding, {cfc: {%s}}, {linear: {out: %d}}]" % (settings, WIDTH),
                       around(lambda w, x: linear(w, "linear/", cfc(w, "cfc/", x, **arguments), WIDTH)), batch, time)

    for mode in ("default", "no_gate", "pure"):
        add("cfc_" + mode, hidden=23, mode=mode)
        add("cfc_%s_no_layers" % mode, hidden=17, mode=mode, backbone_layers=0)
        add("cfc_%s_two_layers" % mode, hidden=9, mode=mode, backbone_layers=2, backbone_units=19)
        add("cfc_%s_long" % mode, batch=1, time=150, hidden=WIDTH, mode=mode, backbone_units=33)
    return cases


def write_cfc():
    write_with_ncps("cfc.h5", cfc_cases())


# --- a small GPT ------------------------------------------------------------------------------------------


def gpt(w, ids, vocabulary, width, depth, heads):
    """GPT-2 as nanoGPT builds it: learned positions, pre-norm, exact GELU, tied head, biases."""
    x = embedding(w, "embedding/", ids, vocabulary, width, spread=0.02)
    x = x + w("positions/weight", (ids.shape[1], width), 0.02)
    for i in range(depth):
        path = "repeat/%d/" % i
        x = x + attention(w, path + "residual1/attention/", layernorm(w, path + "residual1/layernorm/", x), heads)
        x = x + mlp(w, path + "residual2/mlp/", layernorm(w, path + "residual2/layernorm/", x), 4 * width)
    return F.linear(layernorm(w, "layernorm/", x), w.tensors["embedding/weight"])


def write_gpt():
    vocabulary, width, depth, heads, batch, time, steps = 65, 32, 2, 4, 3, 16, 10
    w = Weights(4)
    ids, targets = (torch.tensor(w.rng.integers(0, vocabulary, (batch, time))) for _ in range(2))
    gpt(w, ids, vocabulary, width, depth, heads)
    # GPT-2's initialisation, but with gains and biases that are not 1 and 0, so that they matter.
    with torch.no_grad():
        for name, p in w.tensors.items():
            if p.dim() == 2:
                std = 0.02 / math.sqrt(2 * depth) if "out_proj" in name or "fc2" in name else 0.02
                p.copy_(torch.tensor(rounded(4 * std * w.rng.normal(size=p.shape))))
            else:
                center = 1.0 if "norm/weight" in name else 0.0
                p.copy_(torch.tensor(rounded(center + 0.1 * w.rng.normal(size=p.shape))))
    matrices = [p for p in w.tensors.values() if p.dim() >= 2]
    vectors = [p for p in w.tensors.values() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)], lr=3e-3, betas=(0.9, 0.99))
    with new_file("gpt.h5") as file:
        trained, norms = [], []
        for step in range(steps + 1):
            optimizer.zero_grad()
            logits = gpt(w, ids, vocabulary, width, depth, heads)
            losses, loss = cross_entropy(logits, targets)
            loss.backward()
            if step == 0:
                write_model(file, w, logits, losses, loss, ids, targets)
            trained.append(loss.item())
            norms.append(torch.nn.utils.clip_grad_norm_(w.tensors.values(), 1.0).item())
            optimizer.step()
        put_text(
            file, "model",
            "model: {width: %d, depth: %d, layers: [embedding, positions, {repeat: {layers: [{residual: [layernorm, "
            "{attention: {heads: %d}}]}, {residual: [layernorm, mlp]}]}}, layernorm, unembedding]}" % (width, depth, heads))
        put_text(file, "optimizer", "{type: adamw, lr: 3.0e-3, betas: [0.9, 0.99], weight_decay: 0.1}")
        put(file, "trained_losses", trained, np.float64)  # before each of ten steps, and after the last
        put(file, "gradient_norms", norms, np.float64)


WRITERS = {"optimizers": write_optimizers, "schedules": write_schedules, "layers": write_layers, "gpt": write_gpt,
           "ltc": write_ltc, "cfc": write_cfc}

if __name__ == "__main__":
    names = sys.argv[1:] or list(WRITERS)
    for name in names:
        if name not in WRITERS:
            sys.exit("there are no fixtures \"%s\": choose from %s" % (name, ", ".join(WRITERS)))
    for name in names:
        WRITERS[name]()
        print("wrote %s.h5, %d bytes" % (name, os.path.getsize(os.path.join(FOLDER, name + ".h5"))))
