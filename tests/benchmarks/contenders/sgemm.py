"""Large single-precision matrix products: what the machine's own library can do."""

import numpy as np


def prepare_numpy(size, n_threads):
    a, b, c = (np.ones((size, size), np.float32) for _ in range(3))
    return lambda: np.matmul(a, b, out=c)


def prepare_torch(size, n_threads):
    import torch  # only where it is measured

    torch.set_num_threads(n_threads)
    a, b, c = (torch.ones(size, size) for _ in range(3))
    return lambda: torch.matmul(a, b, out=c)
