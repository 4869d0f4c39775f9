"""Writes the same arrays in every form that the readers accept, into the folder that is given.

x: (7, 2, 3), x[i] = (i - 20) / 4 in row-major order; y: labels of the 7 samples.
Files end with the name of the array: a test reads every *.x.* and every *.y.* and compares.
"""
import os
import sys

import h5py
import numpy as np

folder = sys.argv[1]
x = ((np.arange(42) - 20) / 4).reshape(7, 2, 3)
y = np.array([3, 0, 2, 2, 1, 0, 12])
text = np.array(['a', 'bc', 'ä', '東京', 'a', 'bc', 'e f'])


def path(name):
    return f'{folder}/{name}'


# NPY: C and Fortran order, byte orders, types, versions of the header
for order in 'CF':
    for kind in ('<f2', '<f4', '<f8', '>f2', '>f4', '>f8'):
        np.save(path(f'{order}{kind[0] == ">":d}{kind[1:]}.x.npy'), np.asarray(x.astype(kind), order=order))
    for kind in ('<i2', '>i4', '<i8', '>i8'):
        np.save(path(f'{order}{kind[0] == ">":d}{kind[1:]}.quarters.npy'),
                np.asarray((x * 4).astype(kind), order=order))
for version in ((1, 0), (2, 0), (3, 0)):
    with open(path(f'version{version[0]}.x.npy'), 'wb') as file:
        np.lib.format.write_array(file, x.astype('f4'), version=version)
for kind in ('i1', 'u1', '>i2', '>u2', '<i4', '<u4', '<i8', '>u8', '<f8', '<f2'):
    np.save(path(f'{kind[0] == ">":d}{kind[-2:]}.y.npy'), y.astype(kind))
np.save(path('columns.y.npy'), y.reshape(7, 1))
np.save(path('unicode.text.npy'), text)
np.save(path('unicode_big_endian.text.npy'), text.astype('>U5'))
np.save(path('bytes.text.npy'), np.array([t.encode() for t in text]))
np.save(path('truth.npy'), np.array([True, False]))
# refused: Python objects, which a reader that unpickles would run
np.save(path('object.npy'), np.array([{'a': 1}, None], dtype=object), allow_pickle=True)
np.save(path('structure.npy'), np.zeros(3, dtype=[('a', 'f4'), ('b', 'i4')]))
np.save(path('complex.npy'), np.zeros(3, dtype=complex))

# NPZ
arrays = {'x': x, 'x_fortran': np.asfortranarray(x.astype('>f4')), 'y': y, 'text': text}
np.savez(path('stored.npz'), **arrays)
np.savez_compressed(path('deflated.npz'), **arrays)
np.savez(path('object.npz'), x=np.array([{'a': 1}], dtype=object))

# HDF5
with h5py.File(path('a.h5'), 'w') as file:
    options = {'plain': {}, 'chunked': {'chunks': (2, 2, 2)}, 'growing': {'maxshape': (None, 2, 3)},
               'gzip': {'chunks': (3, 1, 3), 'compression': 'gzip'},
               'all': {'chunks': (2, 2, 3), 'compression': 9, 'shuffle': True, 'fletcher32': True}}
    for name, how in options.items():
        for kind in ('<f2', '<f4', '>f4', '<f8', '>f8'):
            file.create_dataset(f'x/{name}/{kind}', data=x.astype(kind), **how)
    for kind in ('i1', 'u1', '>i2', '<i4', '>i8', '<u8', '<f4'):
        file.create_dataset(f'y/{kind}', data=y.astype(kind))
    file.create_dataset('y/chunked', data=y, chunks=(2,), compression='gzip')
    file.create_dataset('text/variable', data=list(text), dtype=h5py.string_dtype())
    file.create_dataset('text/fixed', data=[t.encode() for t in text], dtype=h5py.string_dtype('utf-8', 8))
    file.create_dataset('text/bytes', data=[t.encode() for t in text], dtype='S6')
    file.create_dataset('truth', data=np.array([True, False]))
    # refused
    refused = file.create_group('refused')
    refused.create_dataset('single value', data=3.5)
    refused.create_dataset('empty', shape=(0, 3), dtype='f4')
    refused.create_dataset('never written', shape=(4, 3), dtype='f4')
    partly = refused.create_dataset('partly written', shape=(4, 3), chunks=(1, 3), dtype='f4')
    partly[1] = 1
    refused.create_dataset('huge', shape=(1 << 40, 1 << 10), chunks=(1, 1 << 10), dtype='f4', compression='gzip')
    refused.create_dataset('compound', data=np.zeros(3, dtype=[('a', 'f4'), ('b', 'i4')]))
    refused.create_dataset('complex', data=np.zeros(3, dtype=complex))
    refused.create_dataset('lists', shape=(2,), dtype=h5py.vlen_dtype('i4'))
    refused.create_dataset('lzf', data=x, compression='lzf')
    refused.create_dataset('other file', data=x, external=path('external.bin'))
    layout = h5py.VirtualLayout(shape=(7, 2, 3), dtype='f8')
    layout[:] = h5py.VirtualSource(path('b.h5'), 'x', shape=(7, 2, 3))
    refused.create_virtual_dataset('virtual', layout)
    refused['link'] = h5py.ExternalLink(path('b.h5'), 'x')
with h5py.File(path('b.h5'), 'w') as file:
    file['x'] = x
# a writer that ended early
if os.fork() == 0:
    unclosed = h5py.File(path('unclosed.h5'), 'w', libver='latest')
    unclosed['x'] = x
    unclosed.flush()
    os._exit(0)
os.wait()

# CSV
names = [f'f{i}' for i in range(6)]
rows = x.reshape(7, 6)


def write_csv(name, delimiter=',', end='\n', header=True, mark='', last=True, quotes=False, labels=text, empty=False):
    quote = (lambda value: '"' + str(value).replace('"', '""') + '"') if quotes else str
    lines = [delimiter.join(map(quote, names + ['y']))] if header else []
    lines += [delimiter.join(map(quote, list(row) + [label])) for row, label in zip(rows, labels)]
    if empty:
        lines = ['', *lines, '', '']
    content = mark + end.join(lines) + (end if last else '')
    with open(path(name), 'w', encoding='utf-8', newline='') as file:
        file.write(content)


write_csv('plain.csv')
write_csv('semicolon.csv', delimiter=';')
write_csv('tab.csv', delimiter='\t')
write_csv('crlf.csv', end='\r\n')
write_csv('headerless.csv', header=False)
write_csv('mark.csv', mark='\ufeff', end='\r\n')
write_csv('mark_headerless.csv', mark='\ufeff', header=False)
write_csv('open_end.csv', last=False)
write_csv('open_end_crlf.csv', last=False, end='\r\n')
write_csv('quotes.csv', quotes=True)
write_csv('empty_lines.csv', empty=True)
