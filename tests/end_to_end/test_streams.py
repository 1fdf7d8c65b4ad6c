"""Recurrent models trained on streams: each lane goes on from block to block, and exactly so after an interruption."""

import re

import numpy as np

import runs

# 16 lanes of 561 tokens: an epoch has 18 steps, the last of which is short.
EXPERIMENT = """
description: an LSTM on a stream of text
dataset: {source: ./small.txt, block_size: 32, split: [0.78, 0.1, 0.12], batches: stream}
model:
  width: 24
  dropout: 0.1
  layers:
    - embedding
    - lstm: {layers: 2}
    - dropout
    - unembedding
optimizer: {type: adamw, lr: 1.0e-2}
training: {batch_size: 8, accumulation: 2, max_steps: 120, average_decay: 0.9}
evaluation: {interval: 25, train_tokens: 512, sample_tokens: 20}
checkpoint: {interval: 20}
sampling: {prompt: "the ", max_tokens: 40}
"""
LANES, LANE, STEPS_PER_EPOCH = 16, 561, 18


class Streams(runs.RunTest):
    def setUp(self):
        super().setUp()
        self.write("stream.yaml", EXPERIMENT)

    def train(self, name, *words):
        return self.runexp("stream.yaml", "--runs", f"runs/{name}", "--no-plots", "name=stream", *words)

    def losses(self, name):
        return self.series(f"{name}/stream")["train/loss"]

    def test_threads(self):
        self.train("two", "--threads", "2")
        for threads in ("1", "4"):
            self.train(f"threads{threads}", "--threads", threads)
            self.assertSameRuns("two/stream", f"threads{threads}/stream")

    def test_resume_in_the_middle_of_an_epoch(self):
        self.train("whole")
        self.assertIn("states/lstm/c2", self.checkpoint("whole/stream", "last.h5"))
        for rows, number in ((33, runs.KILL), (55, runs.TERM), (101, runs.KILL)):
            name = f"cut{rows}"
            process = self.start("stream.yaml", "--runs", f"runs/{name}", "--no-plots", "name=stream")
            self.interrupt(process, f"{name}/stream", rows, number)
            resumed = self.train(name, "--threads", "1")
            self.assertRegex(resumed.out, r"resuming at step \d+")
            self.assertSameRuns("whole/stream", f"{name}/stream")
            self.assertEqual(self.samples("whole/stream"), self.samples(f"{name}/stream"))

    def test_passes_make_no_difference(self):
        same = ("model.dropout=0", "training.max_steps=40")
        self.train("whole", *same)
        for name, words in (("small", ("training.micro_batch_size=2",)), ("single", ("training.micro_batch_size=1",)),
                            ("one", ("training.batch_size=16", "training.accumulation=1"))):
            self.train(name, *same, *words)
            np.testing.assert_allclose(self.losses(name), self.losses("whole"), rtol=1e-3)

    def test_state_goes_on_until_the_epoch_ends(self):
        # With weights that stay as they are, an epoch is like the one before; its first block has no state to go on with.
        frozen = ("model.dropout=0", "optimizer.lr=1e-30", "training.max_steps=40")
        self.train("frozen", *frozen)
        losses = self.losses("frozen")
        self.assertEqual(losses[:STEPS_PER_EPOCH].tobytes(), losses[STEPS_PER_EPOCH:2 * STEPS_PER_EPOCH].tobytes())
        tokens = np.diff(self.series("frozen/stream")["train/tokens"])
        self.assertEqual(tokens[STEPS_PER_EPOCH - 2], LANES * (LANE % 32))
        self.assertEqual(tokens[STEPS_PER_EPOCH - 1], LANES * 32)

    def test_documents(self):
        documents = ('dataset.document_separator=".\\n"',)
        self.train("whole", *documents, "--threads", "2")
        self.train("single", *documents, "--threads", "1")
        self.assertSameRuns("whole/stream", "single/stream")
        process = self.start("stream.yaml", "--runs", "runs/cut", "--no-plots", "name=stream", *documents)
        self.interrupt(process, "cut/stream", 50, runs.KILL)
        self.train("cut", *documents)
        self.assertSameRuns("whole/stream", "cut/stream")
        self.train("one_text")
        self.assertNotEqual(self.losses("whole").tobytes(), self.losses("one_text").tobytes())
        trained = self.series("whole/stream")["eval/val/loss"][-1]
        done = self.runexp("eval", "stream", "--runs", "runs/whole", "--checkpoint", "last")
        self.assertIn(f"loss            {trained:.6f} nats", done.out)

    def test_warm_up_of_eval(self):
        self.write("small.txt", runs.sentences(1000))
        self.train("run", "dataset.split=[0.8, 0.12, 0.08]", "training.max_steps=10")

        def evaluate(*words):
            done = self.runexp("eval", "stream", "--runs", "runs/run", *words)
            return done, re.search(r"loss +(\S+)", done.out)[1]

        usual, loss = evaluate()
        self.assertIn("warm-up         256 tokens of each lane but the first\n", usual.out)
        same, same_loss = evaluate("--warmup-tokens", "256")
        self.assertEqual(same.out, usual.out)
        none, none_loss = evaluate("--warmup-tokens", "0")
        self.assertIn("warm-up         0 tokens of each lane but the first\n", none.out)
        self.assertNotEqual(none_loss, loss)
        self.runexp("eval", "stream", "--runs", "runs/run", "--warmup-tokens", "-2", code=2)
        self.runexp("small.yaml", "name=windows", "training.max_steps=2", "--no-plots")
        windows = self.runexp("eval", "windows", "--warmup-tokens", "9")
        self.assertIn("note: --warmup-tokens has no effect", windows.err)
        self.assertNotIn("warm-up", windows.out)

    def test_documents_in_what_is_generated(self):
        # A recurrent model that has read a separator has forgotten what came before it.
        self.train("whole", 'dataset.document_separator=".\\n"')

        def sample(prompt, *words):
            return self.runexp("sample", "stream", "--runs", "runs/whole", "--mode", "argmax", "--prompt", prompt, "--tokens", "60",
                               *words).out[len(prompt):]

        self.assertEqual(sample("the old hen.\nthe "), sample("a red.\nthe "))
        self.assertNotEqual(sample("the old hen\nthe "), sample("a red\nthe "))

    def test_attention_says_that_it_sees_other_documents(self):
        documents = 'dataset.document_separator=".\\n"'
        attending = "model.layers=[embedding, lstm, {residual: [attention]}, unembedding]"
        for layers, words, mixes in ((attending, (documents,), True), (attending, (), False),
                                     ("model.layers=[embedding, lstm, {conv_gate: {hidden: 8}}, unembedding]", (documents,), False)):
            done = self.runexp("stream.yaml", layers, *words, "--dry-run")
            self.assertEqual("does not bound what residual/attention sees" in done.err, mixes, done.err)

    def test_eval_says_what_training_said(self):
        # A validation text of three lanes.
        self.write("small.txt", runs.sentences(1000))
        self.train("run", "dataset.split=[0.8, 0.12, 0.08]")
        trained = self.series("run/stream")["eval/val/loss"][-1]
        for words in ((), ("--batch-size", "3"), ("--threads", "1")):
            done = self.runexp("eval", "stream", "--runs", "runs/run", "--checkpoint", "last", *words)
            self.assertIn(f"loss            {trained:.6f} nats", done.out)


if __name__ == "__main__":
    runs.unittest.main()
