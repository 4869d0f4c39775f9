"""Reads the recordings and writes the data of the figure: paths of the weights, and the loss around them."""
import sys

import h5py
import numpy as np

folder = sys.argv[1]


def recorded(method, name):
    with h5py.File(f"{folder}/{method}/recording.h5") as file:
        return file[f"{name}/output/values"][()].astype(float)


z = recorded("gradient", "input")[0]
second_moment = z.T @ z / len(z)
# The minimum: the end of the natural gradient's path.
best = recorded("natural", "weight")[-1, 0]


def loss(points, moment, centre):
    off = points - centre
    return np.einsum("...i,ij,...j", off, moment, off)


def landscape(name, moment, centre, start):
    reach = 1.25 * max(np.abs(start - centre).max(), 0.5)
    axis = np.linspace(-reach, reach, 121)
    with open(f"{folder}/{name}.landscape", "w") as file:
        for a in axis:
            for b in axis:
                point = centre + [a, b]
                file.write(f"{point[0]:.6g} {point[1]:.6g} {loss(point, moment, centre):.6g}\n")
            file.write("\n")


def path(name, weights, moment, centre):
    with open(f"{folder}/{name}.path", "w") as file:
        for step, weight in enumerate(weights):
            file.write(f"{step} {weight[0]:.6g} {weight[1]:.6g} {loss(weight, moment, centre):.6g}\n")


for method in ("gradient", "natural"):
    path(method, recorded(method, "weight")[:, 0], second_moment, best)
landscape("input", second_moment, best, recorded("gradient", "weight")[0, 0])
# A decorrelated layer computes W R z; gradient descent changes W, whose inputs are x = R z.
for method in ("decorrelated", "whitened"):
    # The first step used R = I.
    weight, matrix = recorded(method, "weight")[1:, 0], recorded(method, "matrix")[1:]
    path(method, np.einsum("ti,tij->tj", weight, matrix), second_moment, best)
# The R of zca is constant, and defines the coordinates.
last = matrix[-1]
moment, centre = last @ second_moment @ last.T, best @ np.linalg.inv(last)
path("whitened_weights", weight, moment, centre)
landscape("whitened", moment, centre, weight[0])
