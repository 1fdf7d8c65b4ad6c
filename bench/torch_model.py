"""The model of a resolved experiment (`runexp show --plain`) in PyTorch: the same layers, parameters and initialisation.

Covers the layers and settings of the experiments that are benchmarked and refuses all others, so that no benchmark compares two
different models.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn


def only(layer, settings, **expected):
    """Refuses settings that the module here does not have."""
    for key, value in expected.items():
        if settings[key] != value:
            raise NotImplementedError(f"{layer}: {key} is {settings[key]}; the PyTorch side only has {value}")


class Context:
    """What layers need to know of the whole model."""

    def __init__(self, experiment, vocabulary):
        model = experiment["model"]
        self.vocabulary = vocabulary
        self.block_size = int(experiment["dataset"]["block_size"])
        self.batch_size = int(experiment["training"]["batch_size"])
        self.torch_init = model["init"] == "torch"
        self.init_std = float(model["init_std"])
        self.residuals = 0
        self.width = 0  # of the vectors at the layer being built
        self.token_table = None
        self.before = None  # the layer before the one being built

    def linear(self, inputs, outputs, bias, to_residual=False):
        layer = nn.Linear(inputs, outputs, bias=bias)
        if not self.torch_init:
            nn.init.normal_(layer.weight, std=self.init_std / (math.sqrt(self.residuals) if to_residual else 1))
            if bias:
                nn.init.zeros_(layer.bias)
        return layer


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


class Embedding(nn.Embedding):
    def __init__(self, settings, context):
        only("embedding", settings, scale=1.0)
        super().__init__(context.vocabulary, int(settings["width"]))
        nn.init.normal_(self.weight, std=float(settings["init_std"]))
        context.token_table = self.weight
        context.width = int(settings["width"])


class LearnedPositions(nn.Module):
    def __init__(self, settings, context):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context.block_size, context.width))
        nn.init.normal_(self.weight, std=float(settings["init_std"]))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    def __init__(self, context):
        super().__init__()
        pairs = torch.arange(0, context.width, 2, dtype=torch.float64) / context.width
        angles = torch.arange(context.block_size, dtype=torch.float64)[:, None] * 10000.0**-pairs
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        self.register_buffer("table", table.float())

    def forward(self, x):
        return x + self.table[: x.shape[1]]


def positions(settings, context):
    return LearnedPositions(settings, context) if settings["type"] == "learned" else SinusoidalPositions(context)


def attention(settings, context):
    return Attention(settings, context) if settings["projections"] == "all" else AttentionOfInputs(settings, context)


class Attention(nn.Module):
    def __init__(self, settings, context):
        only("attention", settings, kv_heads=0, head_size=0, window=0, rope=False, qk_norm=False, learned_scale=False)
        super().__init__()
        self.heads, self.width = int(settings["heads"]), context.width
        width = self.width
        self.dropout = float(settings["dropout"])
        self.in_proj = context.linear(width, 3 * width, settings["bias"])
        self.out_proj = context.linear(width, width, settings["bias"], to_residual=True)
        self.output_dropout = nn.Dropout(float(settings["output_dropout"]))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.in_proj(x).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0)
        return self.output_dropout(self.out_proj(y.transpose(1, 2).reshape(batch, time, width)))


class Carrying(nn.Module):
    """A layer that, while `carries` is set, goes on from what it kept of the tokens before, with one token at a time."""

    def __init__(self):
        super().__init__()
        self.carry(False)

    def carry(self, on):
        """From the first token of a text on, or no more."""
        self.carries, self.kept = on, None


class AttentionOfInputs(Carrying):
    """Of one head, whose queries, keys and values are the inputs themselves; with a learned scale."""

    def __init__(self, settings, context):
        only("attention", settings, heads=1, kv_heads=0, head_size=0, window=0, rope=False, qk_norm=False, projections="none",
             learned_scale=True, dropout=0.0, output_dropout=0.0)
        super().__init__()
        self.width, self.block_size = context.width, context.block_size
        self.scale = nn.Parameter(torch.tensor([1 / math.sqrt(context.width)]))

    def forward(self, x):
        seen = self.with_kept(x) if self.carries else x
        y = F.scaled_dot_product_attention((x * self.scale)[:, None], seen[:, None], seen[:, None], is_causal=not self.carries, scale=1.0)
        return y[:, 0]

    def with_kept(self, x):
        """The last block_size tokens, in any order: their place in a ring."""
        if self.kept is None:
            self.kept, self.tokens = torch.empty(x.shape[0], self.block_size, self.width), 0
        self.kept[:, self.tokens % self.block_size] = x[:, 0]
        self.tokens += 1
        return self.kept[:, : self.tokens]


class Recurrent(Carrying):
    def __init__(self, kind, settings, context):
        super().__init__()
        hidden, layers = int(settings["hidden"]) or context.width, int(settings["layers"])
        self.reads_tokens = context.before == "embedding"
        self.rnn = kind(context.width, hidden, layers, bias=settings["bias"], batch_first=True,
                        dropout=float(settings["dropout"]) if layers > 1 else 0.0)
        context.width = hidden
        forget = float(settings.get("forget_bias", 0))
        for name, bias in self.rnn.named_parameters():
            if forget and name.startswith("bias"):
                nn.init.constant_(bias[hidden : 2 * hidden], forget if name.startswith("bias_ih") else 0)

    def forward(self, x):
        y, kept = self.rnn(x, self.kept)
        if self.carries:
            self.kept = kept
        return y

    def training_flops(self):
        """Of a token."""
        weights = sum(p.numel() for name, p in self.rnn.named_parameters() if name.startswith("weight"))
        return 3 * 2 * (weights - self.looked_up_count())

    def looked_up_count(self):
        """Of weights with whose product an embedding's row can be looked up, as the row can."""
        return self.rnn.weight_ih_l0.numel() if self.reads_tokens else 0


class FilterLinear(nn.Linear):
    """Of the network that makes filters: works once a step, not for every token, and does not decay."""

    def __init__(self, inputs, outputs, bias, context):
        super().__init__(inputs, outputs, bias=bias)
        if not context.torch_init:
            nn.init.normal_(self.weight, std=context.init_std)
            if bias:
                nn.init.zeros_(self.bias)
        for p in self.parameters():
            p.no_decay = True


class ImplicitFilter(nn.Module):
    """arXiv 2302.10866, section 3.3: sines of the position, times windows that decay at a rate for each channel."""

    def __init__(self, settings, context):
        super().__init__()
        length, width, hidden, features = (context.block_size, context.width, int(settings["filter_width"]),
                                           int(settings["emb_dim"]))
        inner = int(settings["inner_layers"])
        self.layers = nn.ModuleList(FilterLinear(hidden if i else features, hidden, True, context) for i in range(inner + 1))
        self.last = FilterLinear(hidden, width, False, context)
        self.frequency = nn.Parameter(torch.full((1, hidden), float(settings["frequency"])))
        self.frequency.no_decay = True
        t = torch.linspace(0, 1, length)[:, None]
        bands = torch.linspace(1e-4, (features - 1) // 2 - 1, (features - 1) // 2)
        angles = 2 * math.pi * torch.arange(length)[:, None] / length * bands
        self.register_buffer("features", torch.cat([t, angles.cos(), -angles.sin()], dim=1))
        slowest, fastest = (math.log(float(settings["target"])) / float(settings[key])
                            for key in ("slow_decay_pct", "fast_decay_pct"))
        self.register_buffer("window", torch.exp(-t * torch.linspace(slowest, fastest, width).abs()))

    def forward(self, time):
        """(time, width)"""
        x = self.features[:time]
        for layer in self.layers:
            x = torch.sin(self.frequency * layer(x))
        return self.last(x) * self.window[:time]


class Hyena(nn.Module):
    def __init__(self, settings, context):
        only("hyena", settings, order=2, variant="safari", l_max=0, normalize="none", shift=0.0, activation="none",
             filter_lr_multiplier=1.0, positions_lr_multiplier=0.0, decay_lr_multiplier=0.0)
        super().__init__()
        width, taps = context.width, int(settings["short_filter_order"])
        self.in_proj = context.linear(width, 3 * width, settings["bias"])
        self.short = nn.Conv1d(3 * width, 3 * width, taps, groups=3 * width, padding=taps - 1, bias=settings["bias"])
        self.filter = ImplicitFilter(settings, context)
        self.skip = nn.Parameter(torch.randn(width))
        self.dropout = nn.Dropout(float(settings["dropout"]))
        self.out_proj = context.linear(width, width, settings["bias"], to_residual=True)
        self.output_dropout = nn.Dropout(float(settings["output_dropout"]))
        self.batch_size = context.batch_size

    def forward(self, x):
        time = x.shape[1]
        x0, x1, v = self.short(self.in_proj(x).transpose(1, 2))[..., :time].chunk(3, dim=1)
        w = self.dropout(x1 * v)
        spectrum = torch.fft.rfft(self.filter(time).T, n=2 * time)
        z = torch.fft.irfft(torch.fft.rfft(w, n=2 * time) * spectrum, n=2 * time)[..., :time] + self.skip[:, None] * w
        return self.output_dropout(self.out_proj((x0 * z).transpose(1, 2)))

    def training_flops(self, time):
        """Of a token, but for in_proj and out_proj. A transform of n real numbers is 2.5 n log2 n: forward the convolution takes two,
        backward three."""
        width, bits = self.skip.numel(), math.log2(2 * time)
        network = sum(2 * layer.weight.numel() for layer in [*self.filter.layers, self.filter.last]) / self.batch_size
        return 3 * (network + 2 * self.short.weight.numel() + 2 * width) + width * (25 * bits + 20)


class Mlp(nn.Module):
    def __init__(self, settings, context):
        only("mlp", settings, activation="gelu")
        super().__init__()
        width = context.width
        hidden = int(settings["hidden"]) or 4 * width
        self.fc1 = context.linear(width, hidden, settings["bias"])
        self.fc2 = context.linear(hidden, width, settings["bias"], to_residual=True)
        self.dropout = nn.Dropout(float(settings["dropout"]))

    def forward(self, x):
        return self.dropout(self.fc2(F.gelu(self.fc1(x))))


def unembedding(settings, context):
    layer = context.linear(context.width, context.vocabulary, settings["bias"])
    if settings["bias"]:
        nn.init.zeros_(layer.bias)
    if settings["tied"]:
        layer.weight = context.token_table
    return layer


def sequence(layers, context):
    modules = []
    for layer in layers:
        modules += built(layer, context)
        context.before, = layer
    return nn.Sequential(*modules)


def built(layer, context):
    """The modules of one entry of `layers`, which the resolved experiment writes as {name: settings}."""
    (name, settings), = layer.items()
    if name == "repeat":
        return [sequence(settings["layers"], context) for _ in range(int(settings["times"]))]
    if name == "residual":
        return [Residual(sequence(settings, context))]
    if name == "layernorm":
        return [nn.LayerNorm(context.width, eps=float(settings["epsilon"]), bias=settings["bias"])]
    if name == "dropout":
        return [nn.Dropout(float(settings["p"]))]
    makers = {"embedding": Embedding, "positions": positions, "attention": attention, "hyena": Hyena, "mlp": Mlp,
              "lstm": partial(Recurrent, nn.LSTM), "gru": partial(Recurrent, nn.GRU), "unembedding": unembedding}
    if name not in makers:
        raise NotImplementedError(f"the PyTorch side has no layer {name}")
    return [makers[name](settings, context)]


def count_residuals(layers):
    count = 0
    for layer in layers:
        (name, settings), = layer.items()
        if name == "repeat":
            count += int(settings["times"]) * count_residuals(settings["layers"])
        elif name == "residual":
            count += 1
    return count


class Model(nn.Module):
    def __init__(self, experiment, vocabulary):
        super().__init__()
        context = Context(experiment, vocabulary)
        self.block_size = context.block_size
        layers = experiment["model"]["layers"]
        if "unembedding" not in layers[-1]:
            raise NotImplementedError("the PyTorch side needs unembedding as the last layer")
        context.residuals = count_residuals(layers)
        self.body = sequence(layers[:-1], context)
        self.head = sequence(layers[-1:], context)[0]

    def forward(self, ids, targets=None):
        """The mean loss; without targets the logits of the last position."""
        x = self.body(ids)
        if targets is None:
            return self.head(x[:, -1])
        return F.cross_entropy(self.head(x).flatten(0, 1), targets.flatten())

    def can_carry(self):
        """Whether all layers that look at other tokens are ones that carry what they need of them."""
        others = (Attention, Hyena, LearnedPositions, SinusoidalPositions)
        return not any(isinstance(module, others) for module in self.modules())

    def carry(self, on):
        """Whether calls, of one token each from now on, go on from the last one."""
        for module in self.modules():
            if isinstance(module, Carrying):
                module.carry(on)

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())

    def looked_up_count(self):
        return sum(module.looked_up_count() for module in self.modules() if isinstance(module, Recurrent))

    def training_flops(self):
        """Of a token in a full block and a step of training: forward two for each weight of a matrix, and the visible half of
        attention; all of it three times."""
        flops = 0
        for module in self.modules():
            if type(module) is nn.Linear:
                flops += 3 * 2 * module.weight.numel()
            elif isinstance(module, (Attention, AttentionOfInputs)):
                flops += 3 * 4 * module.width * (self.block_size + 1) / 2
            elif isinstance(module, Recurrent):
                flops += module.training_flops()
            elif isinstance(module, Hyena):
                flops += module.training_flops(self.block_size)
        return flops
