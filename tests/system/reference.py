"""Trains by the published formulas in float64 NumPy and compares every tensor of the program's checkpoint.

usage: reference.py LATERAL WORK_FOLDER. Written from the formulas, not from the program's source.
"""
import json, struct, subprocess, sys
import h5py
import numpy as np

lateral, work = sys.argv[1:3]
rng = np.random.default_rng(7)
N, N_TEST, BATCH = 200, 30, 64  # the last batch has 8
SIZES = [784, 30, 20, 10]
NAMES = ['hidden1', 'hidden2', 'output']

# ---- A data set in MNIST's format, with correlated pixels and a border that never varies
def images(n):
    z = rng.normal(size=(n, 28, 28))
    z = np.cumsum(np.cumsum(z, 1), 2)
    z = (z - z.min((1, 2), keepdims=True)) / np.ptp(z, axis=(1, 2), keepdims=True)
    p = (255 * (z + rng.uniform(0, 1, z.shape)) / 2).astype(np.uint8)
    p[:, :2] = 0
    return p
X, Y = images(N), rng.integers(0, 10, N).astype(np.uint8)
import os
os.makedirs(f'{work}/mnist', exist_ok=True)
for split, x, y in (('train', X, Y), ('t10k', images(N_TEST), rng.integers(0, 10, N_TEST).astype(np.uint8))):
    with open(f'{work}/mnist/{split}-images-idx3-ubyte', 'wb') as f:
        f.write(struct.pack('>4i', 2051, len(x), 28, 28) + x.tobytes())
    with open(f'{work}/mnist/{split}-labels-idx1-ubyte', 'wb') as f:
        f.write(struct.pack('>2i', 2049, len(y)) + y.tobytes())
Z = (X.reshape(N, 784) / 255 - .1307) / .3081

# ---- Starting parameters, given to the program by --init
def start(credit, seed):
    r = np.random.default_rng(seed)
    p = {}
    for name, n, m in zip(NAMES, SIZES, SIZES[1:]):
        p[name] = dict(W=r.uniform(-1, 1, (m, n)) / n ** .5, b=r.uniform(-1, 1, m) / n ** .5)
        if credit == 'feedback_alignment': p[name]['B'] = r.uniform(-1, 1, (m, n)) * (6 / n) ** .5
        if credit == 'direct_feedback_alignment' and name != 'output': p[name]['B'] = r.uniform(-1, 1, (m, 10)) * .6 ** .5
    for q in p.values():
        for k in q: q[k] = q[k].astype('f4').astype(float)
    return p

def write_init(path, p):
    with h5py.File(path, 'w') as f:
        for name, q in p.items():
            for key, tensor in (('W', 'weight'), ('b', 'bias'), ('B', 'feedback')):
                if key in q: f[f'layers/{name}/{tensor}'] = q[key].astype('f4')

# ---- The formulas. Rows are samples.
def train(p, o):
    f = lambda a, last: a if last else np.where(a > 0, a, .01 * a)
    df = lambda a, last: np.ones_like(a) if last else np.where(a > 0, 1., .01)
    L = [dict(p[n], R=np.eye(s), mean=np.zeros(s), moment=np.zeros(s), t=0) for n, s in zip(NAMES, SIZES)]
    decor = o.get('rule', 'ahmad2024') == 'ahmad2024'
    demean = o.get('demean', 'batch' if decor else 'none')
    for epoch in range(2):
        for k in range(0, N, BATCH):
            z, y = Z[k:k + BATCH], Y[k:k + BATCH]
            B = len(z)
            for i, l in enumerate(L):
                l['z'] = z
                mu = {'batch': z.mean(0), 'running': l['mean'], 'none': 0}[demean]
                l['zc'] = z - mu
                l['x'] = l['zc'] @ l['R'].T if decor else l['zc']
                l['a'] = l['x'] @ l['W'].T + l['b']
                z = f(l['a'], i == 2)
            e = np.exp(z - z.max(1, keepdims=True)); e /= e.sum(1, keepdims=True)
            e[np.arange(B), y] -= 1
            signal = e
            for i in (2, 1, 0):
                l = L[i]
                if o['credit'] == 'direct_feedback_alignment' and i < 2: signal = e @ l['B'].T
                l['delta'] = signal * df(l['a'], i == 2)
                G = l['delta'] @ (l['B'] if o['credit'] == 'feedback_alignment' else l['W'])
                if o.get('through', True):
                    if decor: G = G @ l['R']
                    if demean == 'batch': G = G - G.mean(0)
                signal = G
            for l in L:
                grads = dict(W=l['delta'].T @ l['x'] / B, b=l['delta'].mean(0))
                l['t'] += 1
                for key, g in grads.items():
                    if o.get('optimizer') == 'adam':
                        m = l['m' + key] = .9 * l.get('m' + key, 0) + .1 * g
                        v = l['v' + key] = .9999 * l.get('v' + key, 0) + 1e-4 * g * g
                        l[key] = l[key] - o['lr'] * (m / (1 - .9 ** l['t'])) / (np.sqrt(v / (1 - .9999 ** l['t'])) + 1e-8)
                    else:
                        v = l['v' + key] = o.get('momentum', 0) * l.get('v' + key, 0) + g
                        l[key] = l[key] - o['lr'] * v
                if decor:
                    S = min(B, int(o.get('fraction', .1) * B) + 1)
                    zs, zcs, xs = l['z'][:S], l['zc'][:S], l['x'][:S]
                    ref = zcs if o.get('reference') == 'centred' else zs
                    n = len(l['R'])
                    gain = o.get('gain', 'norm_ratio')
                    l['moment'] = .9 * l['moment'] + .1 * (l['zc'] ** 2).mean(0)
                    if gain == 'norm_ratio':
                        g = np.full(n, np.mean(np.linalg.norm(ref, axis=1) / np.sqrt((xs ** 2).sum(1) + 1e-8)))
                    elif gain == 'per_unit':
                        live = (xs ** 2).mean(0) >= 1e-8
                        g = np.where(live, np.sqrt((ref ** 2).mean(0)) / np.sqrt(np.where(live, (xs ** 2).mean(0), 1)), 1)
                    else: g = np.ones(n)
                    if o.get('null') == 'freeze': g = np.where(l['moment'] < 1e-8, 1, g)
                    C = xs.T @ xs / S
                    if o.get('update') == 'implicit': R = np.linalg.solve(np.eye(n) + o['eta'] * C, l['R'])
                    else: R = l['R'] - o['eta'] * C @ l['R']
                    l['R'] = g[:, None] * R
                if demean != 'none': l['mean'] = .9 * l['mean'] + .1 * l['z'].mean(0)
    return L

def compare(title, o, sets, tolerance):
    if 'decorrelation.mode' in sets: o = dict(o, eta=1e-4)  # limit of float32 for M of these data
    p = start(o['credit'], 3)
    write_init(f'{work}/init.h5', p)
    subprocess.run(['rm', '-rf', f'{work}/run'])
    common = {'learning.credit': o['credit'], 'decorrelation.rule': o.get('rule', 'ahmad2024'), 'decorrelation.learning_rate': o['eta'],
              'learning.learning_rate': o['lr'], 'learning.optimizer': o.get('optimizer', 'sgd'), 'learning.shuffle': 'false',
              'learning.batch_size': BATCH, 'learning.epochs': 2, 'layer.hidden1.units': 30, 'layer.hidden2.units': 20} | sets
    args = [lateral, 'run', 'sims/mnist.textproto', '--quiet', '--data', work, '--init', f'{work}/init.h5', '--out', f'{work}/run']
    for k, v in common.items(): args += ['--set', f'{k}={v}']
    subprocess.run(args, check=True)
    L = train(p, o)
    worst = ('', 0)
    with h5py.File(f'{work}/run/checkpoint.h5') as f:
        for name, l in zip(NAMES, L):
            g = f['layers/' + name]
            pairs = [('weight', l['W']), ('bias', l['b'])]
            if 'decorrelation' in g:
                pairs.append(('decorrelation/mean', l['mean']))
                if 'R' in g['decorrelation']: pairs.append(('decorrelation/R', l['R']))
                if 'M' in g['decorrelation']: pairs.append(('decorrelation/M', np.linalg.inv(l['R'])))
            for key, want in pairs:
                start_value = p[name].get({'weight': 'W', 'bias': 'b'}.get(key), np.eye(*want.shape) if want.ndim == 2 else 0 * want)
                moved = np.linalg.norm(want - start_value)  # so that a program that learns nothing fails
                rounding = 1e-6 * np.linalg.norm(want)  # of float32, if the change is small
                error = max(0, np.linalg.norm(g[key][...] - want) - rounding) / (moved + 1e-12)
                if error > worst[1]: worst = (f'{name}/{key}', error)
    ok = worst[1] <= tolerance
    print(f"{'ok   ' if ok else 'FAIL '} {title}: largest error relative to what was learned {worst[1]:.1e} ({worst[0]})")
    return ok

BP, FA, DFA = 'backpropagation', 'feedback_alignment', 'direct_feedback_alignment'
base = dict(eta=1e-3, lr=.05)
settled = {'decorrelation.mode': 'settled', 'decorrelation.tolerance': 1e-5, 'decorrelation.learning_rate': 1e-4}
d = 'decorrelation.'
cases = []
for credit in (BP, FA, DFA):
    cases.append((f'{credit}, none', dict(base, credit=credit, rule='none'), {}, 1e-4))
    cases.append((f'{credit}, closed form', dict(base, credit=credit), {}, 1e-4))
    cases.append((f'{credit}, settled', dict(base, credit=credit), settled, 1e-3))
cases += [
    ('adam', dict(base, credit=FA, optimizer='adam', lr=1e-3), {}, 5e-3),
    ('momentum', dict(base, credit=BP, momentum=.9, lr=.01), {'learning.momentum': .9}, 1e-4),
    ('demeaning only', dict(base, credit=BP, rule='none', demean='batch'), {d + 'demean': 'batch'}, 1e-4),
    ('running mean', dict(base, credit=BP, demean='running', eta=1e-4), {d + 'demean': 'running'}, 1e-4),
    ('no demeaning', dict(base, credit=BP, demean='none', eta=1e-4), {d + 'demean': 'none'}, 1e-4),
    ('all samples', dict(base, credit=BP, fraction=1.), {d + 'sample_fraction': 1}, 1e-4),
    ('one sample', dict(base, credit=BP, fraction=0.), {d + 'sample_fraction': 0}, 1e-4),
    ('one sample, settled', dict(base, credit=BP, fraction=0.), {d + 'sample_fraction': 0} | settled, 1e-3),
    ('gain none', dict(base, credit=BP, gain='none'), {d + 'gain': 'none'}, 1e-4),
    ('gain per unit, centred', dict(base, credit=BP, gain='per_unit', reference='centred', fraction=1.),
     {d + 'gain': 'per_unit', d + 'gain_reference': 'centred', d + 'sample_fraction': 1}, 1e-4),
    ('gain per unit, centred, settled', dict(base, credit=BP, gain='per_unit', reference='centred', fraction=1.),
     {d + 'gain': 'per_unit', d + 'gain_reference': 'centred', d + 'sample_fraction': 1} | settled, 1e-3),
    ('gain against the centred norm', dict(base, credit=BP, reference='centred'), {d + 'gain_reference': 'centred'}, 1e-4),
    ('implicit', dict(base, credit=BP, update='implicit'), {d + 'update': 'implicit'}, 1e-4),
    ('implicit, settled', dict(base, credit=BP, update='implicit'), {d + 'update': 'implicit'} | settled, 1e-3),
    ('frozen null directions', dict(base, credit=BP, null='freeze'), {d + 'null_directions': 'freeze'}, 1e-4),
    ('error not through decorrelation', dict(base, credit=BP, through=False), {'learning.feedback_through_decorrelation': 'false'}, 1e-4),
]
for integrator in ('exponential_euler', 'runge_kutta4', 'chebyshev'):
    cases.append((f'settled by {integrator}', dict(base, credit=BP), settled | {d + 'integrator': integrator}, 1e-3))
only = sys.argv[3] if len(sys.argv) > 3 else ''
results = [compare(*case) for case in cases if only in case[0]]
print(f'{sum(results)} of {len(results)} pass')
sys.exit(not all(results))
