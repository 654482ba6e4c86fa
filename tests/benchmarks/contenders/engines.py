"""Our own engines."""

from benchmarks.workload import WORKLOAD, make_job


def prepare_torch(n_networks, n_steps, n_threads, shape=WORKLOAD):
    from curvebench.generation.engine.stacked import TorchEngine  # each process loads only what it measures

    return _run(TorchEngine(), n_networks, n_steps, shape)


def prepare_fused(n_networks, n_steps, n_threads, shape=WORKLOAD):
    from curvebench.generation.engine.fused import FusedEngine

    return _run(FusedEngine(n_threads=n_threads), n_networks, n_steps, shape)


def _run(engine, n_networks, n_steps, shape):
    job = make_job(n_networks, n_steps, shape)
    return lambda: engine.train(job).checkpoints[n_steps].parameters
