# SPDX-License-Identifier: BSD-2-Clause
"""A small reader of pprof's profile.proto (github.com/google/pprof), to look at all its fields."""

import gzip


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """(number, value) of one message: ints of varints, bytes of the others."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        elif key & 7 == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise AssertionError(f"wire type {key & 7} is not used by profile.proto")
        yield key >> 3, value


def _record(data, names):
    """The fields of a message that @names has numbers of; absent ones are 0."""
    values = dict.fromkeys(names.values(), 0)
    for number, value in _fields(data):
        if number in names:
            values[names[number]] = value
    return values


def _ints(values):
    """A repeated integer field, packed or not."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            yield number


class Location:
    """mapping: a dict or None; lines: [(function dict, line)], innermost first."""

    def __init__(self, data, functions, mappings):
        base = _record(data, {2: "mapping", 3: "address"})
        self.address = base["address"]
        self.mapping = mappings.get(base["mapping"])
        self.lines = []
        for number, value in _fields(data):
            if number == 4:
                line = _record(value, {1: "function", 2: "line"})
                self.lines.append((functions[line["function"]], line["line"]))

    def names(self):
        return [function["name"] for function, _ in self.lines]


class Profile:
    """samples: [([Location], leaf first, count)]."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        fields = {}
        for number, value in _fields(data):
            fields.setdefault(number, []).append(value)
        self.texts = [text.decode() for text in fields[6]]
        self.functions = self._table(fields.get(5, []), {
            1: "id", 2: "name", 3: "system_name", 4: "filename", 5: "start_line"},
            ("name", "system_name", "filename"))
        self.mappings = self._table(fields.get(3, []), {
            1: "id", 2: "start", 3: "limit", 4: "offset", 5: "filename", 6: "build_id"},
            ("filename", "build_id"))
        self.locations = {_record(data, {1: "id"})["id"]:
                          Location(data, self.functions, self.mappings)
                          for data in fields.get(4, [])}
        self.comments = [self.texts[i] for i in _ints(fields.get(13, []))]
        self.values = [tuple(_ints([v for n, v in _fields(data) if n == 2]))
                       for data in fields.get(2, [])]  # of each sample, all its types
        self.samples = [self._sample(data) for data in fields.get(2, [])]

    def _table(self, messages, names, text_fields):
        table = {}
        for data in messages:
            row = _record(data, names)
            for field in text_fields:
                row[field] = self.texts[row[field]]
            table[row["id"]] = row
        return table

    def _sample(self, data):
        ids = [value for number, value in _fields(data) if number == 1]
        values = [value for number, value in _fields(data) if number == 2]
        return [self.locations[i] for i in _ints(ids)], next(_ints(values))

    def function(self, name):
        found = [f for f in self.functions.values() if f["name"] == name]
        assert len(found) == 1, (name, [f["name"] for f in self.functions.values()])
        return found[0]

    def locations_of(self, name):
        return [at for at in self.locations.values() if name in at.names()]
