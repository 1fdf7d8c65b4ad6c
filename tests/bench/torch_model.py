"""The model of a resolved experiment (`runexp show --plain`) in PyTorch: the same layers, parameters and initialisation.

Covers the layers and settings of the experiments that are benchmarked and refuses all others, so that no benchmark compares two
different models.
"""

import math

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
        self.torch_init = model["init"] == "torch"
        self.init_std = float(model["init_std"])
        self.residuals = 0
        self.width = 0  # of the vectors at the layer being built
        self.token_table = None

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


class Attention(nn.Module):
    def __init__(self, settings, context):
        only("attention", settings, kv_heads=0, head_size=0, window=0, rope=False, qk_norm=False)
        super().__init__()
        self.heads, width = int(settings["heads"]), context.width
        self.dropout = float(settings["dropout"])
        self.in_proj = context.linear(width, 3 * width, settings["bias"])
        self.out_proj = context.linear(width, width, settings["bias"], to_residual=True)
        self.output_dropout = nn.Dropout(float(settings["output_dropout"]))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.in_proj(x).view(batch, time, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0)
        return self.output_dropout(self.out_proj(y.transpose(1, 2).reshape(batch, time, width)))


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
    return nn.Sequential(*[make for layer in layers for make in built(layer, context)])


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
    makers = {"embedding": Embedding, "positions": positions, "attention": Attention, "mlp": Mlp, "unembedding": unembedding}
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

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())

    def forward_flops(self):
        """Of a token in a full block: two for each weight of a matrix, and the visible half of attention."""
        flops = 0
        for module in self.modules():
            if isinstance(module, nn.Linear):
                flops += 2 * module.weight.numel()
            elif isinstance(module, Attention):
                flops += 4 * module.in_proj.in_features * (self.block_size + 1) / 2
        return flops
