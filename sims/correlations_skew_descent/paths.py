"""Reads the recordings and writes what the figure draws: paths of the weights, and the loss around them."""
import sys

import h5py
import numpy as np

folder = sys.argv[1]


def recorded(way, name):
    with h5py.File(f"{folder}/{way}/recording.h5") as file:
        return file[f"{name}/output/values"][()].astype(float)


z = recorded("gradient", "input")[0]
second_moment = z.T @ z / len(z)
# The minimum: where the natural gradient ends.
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


for way in ("gradient", "natural"):
    path(way, recorded(way, "weight")[:, 0], second_moment, best)
landscape("input", second_moment, best, recorded("gradient", "weight")[0, 0])
# What a decorrelated layer computes is W R z; what it descends in is W, where inputs are x = R z.
for way in ("decorrelated", "whitened"):
    # The first step still met R = I.
    weight, matrix = recorded(way, "weight")[1:, 0], recorded(way, "matrix")[1:]
    path(way, np.einsum("ti,tij->tj", weight, matrix), second_moment, best)
# zca's R stays as it is, and gives the coordinates.
last = matrix[-1]
moment, centre = last @ second_moment @ last.T, best @ np.linalg.inv(last)
path("whitened_weights", weight, moment, centre)
landscape("whitened", moment, centre, weight[0])
