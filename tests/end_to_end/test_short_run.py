"""One run of few steps with everything in it, short enough for the sanitizers."""

import runs


class ShortRun(runs.RunTest):
    def test_train_resume_sample_eval_plot(self):
        short = ("small.yaml", "training.max_steps=12", "evaluation.interval=5", "checkpoint.interval=5")
        name = "small,evaluation.interval=5,training.max_steps=12"
        interrupted = self.interrupt(self.start(*short, "--threads", "2"), name, 3, runs.TERM)
        self.assertEqual(interrupted.code, 130, interrupted.err)
        self.runexp(*short)
        self.runexp("eval", name, "--split", "test")
        self.runexp("sample", name, "--tokens", "40", "--mode", "top_p")
        self.runexp("plot", name)
        self.runexp("compare", name, name)
        self.runexp("list")
        self.runexp("show", name)
        self.runexp("small.yaml", "optimizer={type: muon}", "training.max_steps=3", "name=muon", "--no-plots")
        self.runexp("small.yaml", "optimizer={type: sgd, lr: 1e30}", "name=diverged", "--no-plots", code=3)


if __name__ == "__main__":
    runs.unittest.main()
