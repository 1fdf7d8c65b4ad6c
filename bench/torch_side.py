"""The PyTorch side of `make bench`: reads what to do from standard input, a line of JSON each, and answers in kind.

The first line describes the workload; the answer tells about the model. Then {"train": STEPS}, {"generate": TOKENS}, {"carry": TOKENS}
or {"after": [LENGTH, ...]}, any number of times. Between lines the process sleeps, so that the other program has the machine to itself.
"""

import json
import resource
import sys
import time

import torch

import torch_model


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


IMPORTED = peak_bytes()


def read_tokens(path):
    """The text as indices into its sorted characters."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    return torch.tensor([number[c] for c in text]), len(number)


def new_optimizer(settings, model):
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["type"]]
    parameters = list(model.parameters())
    decay = [p for p in parameters if p.dim() >= 2 and not hasattr(p, "no_decay")]
    rest = [p for p in parameters if p.dim() < 2 or hasattr(p, "no_decay")]
    groups = [{"params": decay, "weight_decay": float(settings["weight_decay"])}, {"params": rest, "weight_decay": 0.0}]
    return kind(groups, lr=float(settings["lr"]), betas=[float(b) for b in settings["betas"]],
                eps=float(settings["epsilon"]), fused=True)


class Trainer:
    def __init__(self, experiment, model, tokens, compiled):
        training = experiment["training"]
        torch_model.only("training", training, accumulation=1, average_decay=0.0)
        self.batch_size = int(training["batch_size"])
        self.clip = float(training["grad_clip"])
        self.parameters = list(model.parameters())
        self.optimizer = new_optimizer(experiment["optimizer"], model)
        self.model = torch.compile(model, dynamic=False) if compiled else model
        self.tokens = tokens
        self.block = torch.arange(model.block_size)
        self.tokens_of_a_step = self.batch_size * model.block_size

    def step(self):
        starts = torch.randint(len(self.tokens) - len(self.block), (self.batch_size, 1))
        at = starts + self.block
        loss = self.model(self.tokens[at], self.tokens[at + 1])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def run(self, steps):
        started = time.perf_counter()
        for _ in range(steps):
            loss = self.step()
        return {"seconds": time.perf_counter() - started, "loss": loss, "peak": peak_bytes(),
                "tokens": steps * self.tokens_of_a_step}


def sampled(logits, k, temperature):
    logits = logits / temperature
    least = torch.topk(logits, k).values[:, [-1]]
    logits[logits < least] = -torch.inf
    return torch.multinomial(torch.softmax(logits, -1), 1)


def next_token(model, k, temperature, context):
    return torch.cat([context, sampled(model(context[:, -model.block_size:]), k, temperature)], dim=1)


@torch.inference_mode()
def generate(model, k, temperature, count):
    """As nanoGPT does it: all of the context, cut to the last block_size tokens, goes through the model for every new token."""
    model.eval()
    context = torch.zeros(1, 1, dtype=torch.long)
    started = time.perf_counter()
    for _ in range(count):
        context = next_token(model, k, temperature, context)
    return {"seconds": time.perf_counter() - started, "tokens": count, "peak": peak_bytes()}


@torch.inference_mode()
def generate_carrying(model, k, temperature, count):
    """The last token alone goes through the model, which keeps what it needs of those before."""
    model.eval()
    model.carry(True)
    token = torch.zeros(1, 1, dtype=torch.long)
    started = time.perf_counter()
    for _ in range(count):
        token = sampled(model(token), k, temperature)
    seconds = time.perf_counter() - started
    model.carry(False)
    return {"seconds": seconds, "tokens": count, "peak": peak_bytes()}


@torch.inference_mode()
def generate_after(model, k, temperature, lengths):
    """One token after contexts of these lengths each."""
    model.eval()
    started = time.perf_counter()
    for length in lengths:
        next_token(model, k, temperature, torch.zeros(1, length, dtype=torch.long))
    return {"seconds": time.perf_counter() - started, "tokens": len(lengths), "peak": peak_bytes()}


def answer(about):
    print(json.dumps(about), flush=True)


def main():
    about = json.loads(sys.stdin.readline())
    experiment = about["experiment"]
    torch.set_num_threads(about["threads"])
    torch.manual_seed(int(experiment["seed"]))
    tokens, vocabulary = read_tokens(about["text"])
    model = torch_model.Model(experiment, vocabulary)
    trainer = Trainer(experiment, model, tokens, about["compiled"]) if about["train"] else None
    answer({
        "parameters": model.parameter_count(),
        "vocabulary": vocabulary,
        "training_flops": model.training_flops(),
        "looked_up": model.looked_up_count(),
        "can_carry": model.can_carry(),
        "first_loss": trainer.step() if trainer else None,
        "imported": IMPORTED,
        "version": torch.__version__,
        "libraries": torch.__config__.show(),
    })
    for line in sys.stdin:
        request = json.loads(line)
        if "train" in request:
            answer(trainer.run(request["train"]))
        else:
            sampling = experiment["sampling"]
            k, temperature = int(sampling["k"]), float(sampling["temperature"])
            if "after" in request:
                answer(generate_after(model, k, temperature, request["after"]))
            elif "carry" in request:
                answer(generate_carrying(model, k, temperature, request["carry"]))
            else:
                answer(generate(model, k, temperature, request["generate"]))


if __name__ == "__main__":
    main()
