"""Runs the console script in children of one process that has everything imported.

A start takes a fraction of a second instead of many, so that tests can afford to kill a run often.
Each child is a process of its own, with the environment, arguments and exit code of a command.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]


class ForkServer:
    """Starts commands and waits for them."""

    def __init__(self):
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        env.pop("WANDB_SERVICE", None)  # of this process, where it has used wandb
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        atexit.register(self.process.kill)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, log, *argv, env=None, **tampering):
        """Start `lit-synth argv...` with its output in the file `log`; return its process id.

        Without arguments, what is named in `tampering` is all that is done.

        Args:
            tampering: Name of a function below -> its argument.
        """
        arguments = [str(each) for each in argv]
        return self.ask(log=str(log), argv=arguments, env=env or {}, tampering=tampering)

    def wait(self, pid):
        """Return the exit code; the negated signal if one ended the process."""
        return self.ask(wait=pid)

    def run(self, log, *argv, env=None, **tampering):
        return self.wait(self.start(log, *argv, env=env, **tampering))

    @contextlib.contextmanager
    def other_rank(self, function, *arguments):
        """Have a function of a helper module run in another process, in this folder, meanwhile.

        Args:
            function: Its dotted name; its first argument is the rank, 1.
        """
        log = Path(f"{function}.log").absolute()
        pid = self.start(log, env={"RANK": "1"}, call=[str(Path.cwd()), function, 1, *arguments])
        try:
            yield
        except BaseException:
            os.kill(pid, signal.SIGKILL)  # it would wait for this one
            self.wait(pid)
            raise
        assert self.wait(pid) == 0, log.read_text()

    def run_two(self, log, run_id, *argv, tampering=({}, {})):
        """Run a command in two processes that train together; return their exit codes."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["--trainer.devices", 2, "--trainer.strategy", "ddp_find_unused_parameters_true"]
        pids = []
        for rank in range(2):
            env = {
                "TORCHELASTIC_RUN_ID": run_id,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "GLOO_SOCKET_IFNAME": "lo",
                "WORLD_SIZE": "2",
                "LOCAL_WORLD_SIZE": "2",
                "GROUP_RANK": "0",
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
            }
            command = [*argv, "--run_id", run_id, *options]
            pids.append(self.start(f"{log}-{rank}.log", *command, env=env, **tampering[rank]))
        return [self.wait(pid) for pid in pids]


@functools.cache
def server():
    """Return the one server of the test session."""
    return ForkServer()


# What a child can have done to it.


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_iteration(number):
    """Die within iteration `number` (from 1), between the critic's step and the generator's."""
    _in_iteration(number, die)


def signal_in_iteration(number_and_signal):
    """Get a signal within iteration `number` (from 1), and all data workers with it."""
    number, signum = number_and_signal
    _in_iteration(number, lambda: os.killpg(0, signum))


def _in_iteration(number, act):
    from lit_synth.method import Method

    track = Method.track

    def acting(self, **terms):
        if self.iteration + 1 == number:
            act()
        track(self, **terms)

    Method.track = acting


def signal_before_training(signum):
    """Get a signal, and all data workers with it, when training is about to begin."""
    from lit_synth.callbacks import Evaluate

    start = Evaluate.on_train_start

    def acting(self, trainer, method):
        os.killpg(0, signum)
        start(self, trainer, method)

    Evaluate.on_train_start = acting


def signal_in_evaluation(signum):
    """Get a signal, and all data workers with it, while images are made that are measured."""
    from lit_synth.methods import MineGAN

    generate = MineGAN.generate

    def acting(self, batch):
        MineGAN.generate = generate
        os.killpg(0, signum)
        return generate(self, batch)

    MineGAN.generate = acting


def kill_after_iteration(number):
    """Die when iteration `number` is over, its checkpoint included."""
    from lit_synth.callbacks import Checkpoint

    end = Checkpoint.on_train_batch_end

    def deadly(self, trainer, method, *args):
        end(self, trainer, method, *args)
        if method.iteration == number:
            die()

    Checkpoint.on_train_batch_end = deadly


def kill_in_write(number):
    """Die when half of the checkpoint file `number` (from 1) is on the disk."""
    real, written = os.fsync, []

    def deadly(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".ckpt.partial"):
            written.append(descriptor)
            if len(written) == number:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                die()
        real(descriptor)

    os.fsync = deadly


def kill_in_rotation(number):
    """Die when last.ckpt has become previous.ckpt for the time `number`, and nothing is last."""
    real, rotated = os.replace, []

    def deadly(source, target):
        real(source, target)
        if Path(target).name == "previous.ckpt":
            rotated.append(target)
            if len(rotated) == number:
                die()

    os.replace = deadly


def record_gradients(path):
    """Save all gradients of each optimizer step of the run."""
    import torch

    from lit_synth.method import Method

    minimize, gradients = Method.minimize, []

    def recording(self, loss, optimizer):
        minimize(self, loss, optimizer)
        own = {id(p) for group in optimizer.optimizer.param_groups for p in group["params"]}
        gradients.append(
            {
                name: p.grad.clone()
                for name, p in self.named_parameters()
                if id(p) in own and p.grad is not None
            }
        )
        torch.save(gradients, path)

    Method.minimize = recording


def call(folder_function_and_arguments):
    """Call a function of a helper module, by its dotted name, in a folder."""
    folder, function, *arguments = folder_function_and_arguments
    module, _, name = function.rpartition(".")
    os.chdir(folder)
    getattr(importlib.import_module(module), name)(*arguments)


def run_notebook(paths):
    """Run a notebook's cells in IPython, as opened in a folder; write it with its outputs."""
    import matplotlib
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from matplotlib_inline.backend_inline import configure_inline_support

    source, folder, executed = paths
    os.chdir(folder)
    backend = "module://matplotlib_inline.backend_inline"
    matplotlib.use(backend)
    shell = InteractiveShell.instance()
    configure_inline_support(shell, backend)
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            with capture_output() as told:
                outcome = shell.run_cell(cell.source, store_history=True)
            print(told.stdout, told.stderr)
            outcome.raise_error()
            cell.outputs = [
                nbformat.v4.new_output("stream", name="stdout", text=told.stdout),
                *(nbformat.v4.new_output("display_data", each.data) for each in told.outputs),
            ]
    nbformat.write(notebook, executed)


def _child(log, argv, env, tampering):
    os.setsid()  # a group of its own, as from a shell or from SLURM
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(env)
    code = 1
    try:
        from lightning_fabric.utilities.rank_zero import rank_zero_only

        from lit_synth.cli import main

        rank_zero_only.rank = int(env.get("RANK", env.get("SLURM_PROCID", 0)))
        for name, argument in tampering.items():
            globals()[name](argument)
        code = main(argv) if argv else 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve():
    # What takes long, once.
    import sklearn.datasets  # noqa: F401
    import torch
    import torch.utils.tensorboard

    import lit_synth.training.cli  # noqa: F401  loaded once, before commands fork

    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                _child(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
