#!/usr/bin/python3
"""The peer of the benchmark: the published rules in plain PyTorch, one process, autograd.

Trains the dense network of Ahmad 2024 (leaky ReLU, Adam(0.9, 0.9999), softmax cross-entropy) on
random inputs of CIFAR-10's shape and prints its speed. The rules are those of the project's
contract; only the form differs:
  --form published   C = X^T X / S and R <- g (R - eta C R) with full n x n products, as the paper's
                     code does
  --form low_rank    the same update as X^T (X R): as an efficient PyTorch program computes it
"""
import argparse
import resource
import sys
import time

import torch
import torch.nn.functional as F


class Decorrelate(torch.nn.Module):
    """x = R (z - mean of the batch); R is updated from the first S samples."""

    def __init__(self, n, eta, form):
        super().__init__()
        self.register_buffer("R", torch.eye(n))
        self.register_buffer("mean", torch.zeros(n))
        self.eta, self.form = eta, form

    def forward(self, z):
        mean = z.mean(dim=0)
        x = F.linear(z - mean, self.R)
        samples = z.shape[0] // 10 + 1
        with torch.no_grad():
            self.mean.mul_(0.9).add_(mean, alpha=0.1)
            self.sampled = z[:samples].detach(), x[:samples].detach()
        return x

    @torch.no_grad()
    def learn(self):
        z, x = self.sampled
        gain = (z.norm(dim=1) / (x.square().sum(dim=1) + 1e-8).sqrt()).mean()
        if self.form == "published":
            C = x.T @ x / x.shape[0]
            step = C @ self.R
        else:
            step = x.T @ (x @ self.R) / x.shape[0]
        self.R.sub_(step, alpha=self.eta).mul_(gain)


class FeedbackAlignment(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias, feedback):
        context.save_for_backward(x, feedback)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(context, delta):
        x, feedback = context.saved_tensors
        return delta @ feedback, delta.T @ x, delta.sum(dim=0), None


class Layer(torch.nn.Module):
    def __init__(self, inputs, units, is_output, options):
        super().__init__()
        self.decorrelate = Decorrelate(inputs, options.eta, options.form) if options.decorrelation else None
        self.linear = torch.nn.Linear(inputs, units)
        bound = (6 / inputs) ** 0.5
        self.register_buffer("feedback", torch.empty(units, inputs).uniform_(-bound, bound))
        self.is_output, self.credit = is_output, options.credit

    def forward(self, z):
        x = self.decorrelate(z) if self.decorrelate else z
        if self.credit == "feedback_alignment":
            a = FeedbackAlignment.apply(x, self.linear.weight, self.linear.bias, self.feedback)
        else:
            a = self.linear(x)
        return a if self.is_output else F.leaky_relu(a, 0.01)

    @torch.no_grad()
    def perturbed(self, z, noise, sigma):
        """Clean and noisy pass together: z contains both."""
        clean, noisy = z
        if self.decorrelate:
            mean = clean.mean(dim=0)
            x = F.linear(clean - mean, self.decorrelate.R)
            x_noisy = F.linear(noisy - mean, self.decorrelate.R)
            samples = clean.shape[0] // 10 + 1
            self.decorrelate.mean.mul_(0.9).add_(mean, alpha=0.1)
            self.decorrelate.sampled = clean[:samples], x[:samples]
        else:
            x, x_noisy = clean, noisy
        self.x, self.noise = x, noise
        a, a_noisy = self.linear(x), self.linear(x_noisy) + noise
        if self.is_output:
            return a, a_noisy
        return F.leaky_relu(a, 0.01), F.leaky_relu(a_noisy, 0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--credit", default="backpropagation")
    parser.add_argument("--decorrelation", action="store_true")
    parser.add_argument("--form", default="published", choices=["published", "low_rank"])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", default="3072,1000,1000,1000,1000,10")
    parser.add_argument("--eta", type=float, default=1e-5)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)

    sizes = [int(s) for s in options.layers.split(",")]
    layers = torch.nn.ModuleList(
        Layer(a, b, i == len(sizes) - 2, options) for i, (a, b) in enumerate(zip(sizes, sizes[1:])))
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-4, betas=(0.9, 0.9999), eps=1e-8)
    inputs = torch.randn(options.batch * 4, sizes[0])
    labels = torch.randint(0, sizes[-1], (options.batch * 4,))
    sigma = 1e-3

    def step(i):
        at = slice(i % 4 * options.batch, (i % 4 + 1) * options.batch)
        z, target = inputs[at], labels[at]
        if options.credit == "node_perturbation":
            both = (z, z)
            for layer in layers:
                noise = sigma * torch.randn(z.shape[0], layer.linear.out_features)
                both = layer.perturbed(both, noise, sigma)
            reward = F.cross_entropy(both[1], target, reduction="none") - F.cross_entropy(
                both[0], target, reduction="none")
            for layer in layers:
                delta = reward[:, None] * layer.noise / (sigma**2 * z.shape[0])
                layer.linear.weight.grad = delta.T @ layer.x
                layer.linear.bias.grad = delta.sum(dim=0)
        else:
            optimizer.zero_grad(set_to_none=True)
            for layer in layers:
                z = layer(z)
            F.cross_entropy(z, target).backward()
        optimizer.step()
        for layer in layers:
            if layer.decorrelate:
                layer.decorrelate.learn()

    step(0)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_before = used.ru_utime + used.ru_stime
    begin = time.perf_counter()
    for i in range(options.steps):
        step(i)
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime - cpu_before
    print(f"samples_per_second,{options.batch * options.steps / seconds}")
    print(f"cpu_seconds_per_sample,{cpu / (options.batch * options.steps)}")
    print(f"peak_rss_bytes,{used.ru_maxrss * 1024}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
