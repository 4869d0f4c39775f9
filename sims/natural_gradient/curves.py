"""Prints measured against analytic rates, and the best setting of each arm; writes the curves of the figure."""
import csv
import math
import sys

folder = sys.argv[1]
goal = 1e-6  # of the loss at the start


def members(sweep):
    with open(f"{folder}/{sweep}/sweep.csv") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def column(sweep, member, name):
    with open(f"{folder}/{sweep}/members/{int(member['member']):05d}/metrics.csv") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


print("deep linear network: steps to 1e-6 of the loss at the start, and the change of log loss a step")
print(f"{'':24}{'rate':>7}{'steps':>8}{'measured':>12}{'2 ln(1 - rate)':>17}")
for member in members("deep_linear"):
    if member["status"] != "done":
        print(f"{member['arm']:24}{member['learning.learning_rate']:>7}  {member['status']}")
        continue
    loss = column("deep_linear", member, "train_loss")
    reached = next((t for t, value in enumerate(loss) if value <= goal * loss[0]), None)
    rate = float(member["learning.learning_rate"])
    line = f"{member['arm']:24}{rate:>7}{reached if reached is not None else '> ' + str(len(loss)):>8}"
    if member["arm"].startswith("exact") and reached is not None:
        begin = next(t for t, value in enumerate(loss) if value <= 1e-1 * loss[0])
        slope = math.log(loss[reached] / loss[begin]) / (reached - begin)
        line += f"{slope:>12.5f}{2 * math.log(1 - rate):>17.5f}"
    print(line)
    name = f"{member['arm'].replace(' ', '_')}_{rate}"
    with open(f"{folder}/deep_linear_{name}.curve", "w") as file:
        file.writelines(f"{t} {value / loss[0]:.6g}\n" for t, value in enumerate(loss))

print("\nautoencoder: squared error of validation images, at each arm's best rate")
best = {}
for member in members("autoencoder"):
    if member["status"] == "done":
        previous = best.get(member["arm"])
        if previous is None or float(member["test_loss"]) < float(previous["test_loss"]):
            best[member["arm"]] = member
for arm, member in best.items():
    loss = column("autoencoder", member, "test_loss")
    print(f"{arm:28}{member['learning.learning_rate']:>7}  " + "  ".join(f"{value:6.1f}" for value in loss))
    with open(f"{folder}/autoencoder_{arm.replace(' ', '_').replace(',', '')}.curve", "w") as file:
        file.writelines(f"{epoch} {value:.6g}\n" for epoch, value in enumerate(loss, 1))
