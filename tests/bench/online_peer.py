#!/usr/bin/python3
"""The peer of online decorrelation: one sample at a time in plain PyTorch, one thread.

Prints "published_us,T" (C = x x^T and R <- g (R - eta C R) with n x n products) and "rank1_us,T"
(the same update as R - eta x (x^T R)).
"""
import statistics
import sys
import time

import torch


@torch.no_grad()
def main():
    n = int(sys.argv[1])
    quick = "--quick" in sys.argv
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    samples = torch.randn(64, n)
    eta = 1e-5

    def microseconds(form):
        R, mean = torch.eye(n), torch.zeros(n)

        def step(i):
            z = samples[i % 64]
            zc = z - mean
            x = R @ zc
            gain = z.norm() / (x.square().sum() + 1e-8).sqrt()
            if form == "published":
                C = torch.outer(x, x)
                R.sub_(C @ R, alpha=eta).mul_(gain)
            else:
                R.addr_(x, x @ R, alpha=-eta).mul_(gain)
            mean.mul_(0.9).add_(z, alpha=0.1)

        step(0)
        runs = []
        for _ in range(1 if quick else 3):
            begin, count = time.perf_counter(), 0
            while count < 3 or time.perf_counter() - begin < 0.3:
                step(count)
                count += 1
            runs.append((time.perf_counter() - begin) / count)
        return 1e6 * statistics.median(runs)

    for form in ("published", "rank1"):
        print(f"{form}_us,{microseconds(form):.2f}")


if __name__ == "__main__":
    main()
