# SPDX-License-Identifier: BSD-2-Clause
"""C++ sources that are mostly the standard library's templates, inlined many levels deep.

Each file has types of its own, so that each instantiates the templates anew: the debug
information of few lines of ours is that of many thousand lines of the library.
"""

import os

FILE = r"""
#include <algorithm>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <queue>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace part@ {

struct Key {
	long id;
	std::string name;
	bool operator<(const Key &other) const
	{
		return id != other.id ? id < other.id : name < other.name;
	}
	bool operator==(const Key &other) const { return id == other.id && name == other.name; }
};

struct Hash {
	size_t operator()(const Key &key) const
	{
		return std::hash<long>()(key.id) ^ std::hash<std::string>()(key.name) << 1;
	}
};

struct Shape {
	virtual ~Shape() = default;
	virtual double area() const = 0;
};

template <int sides> struct Polygon : Shape {
	double length;
	explicit Polygon(double of) : length(of) {}
	double area() const override
	{
		double sum = 0;
		for (int i = 0; i < sides; i++)
			sum += length * length / (i + 1.5);
		return sum;
	}
};

using Value = std::variant<long, double, std::string, std::vector<Key>>;

static std::vector<Key> make_keys(size_t count, unsigned seed)
{
	std::mt19937_64 random(seed);
	std::uniform_int_distribution<long> numbers(0, 1 << 20);
	std::vector<Key> keys;

	std::generate_n(std::back_inserter(keys), count, [&] {
		long number = numbers(random);
		return Key{number, "key-" + std::to_string(number % 1000)};
	});
	return keys;
}

static std::map<Key, std::vector<std::string>> group(const std::vector<Key> &keys)
{
	std::map<Key, std::vector<std::string>> groups;
	std::unordered_map<Key, size_t, Hash> seen;

	for (const Key &key : keys) {
		if (seen[key]++ % 2 == 0)
			groups[key].push_back(key.name + "@");
		else
			groups.erase(key);
	}
	for (auto &[key, names] : groups)
		std::sort(names.begin(), names.end(), std::greater<>());
	return groups;
}

static size_t match(const std::vector<Key> &keys, const char *pattern)
{
	std::regex expression(pattern, std::regex::extended | std::regex::icase);

	return std::count_if(keys.begin(), keys.end(), [&](const Key &key) {
		std::smatch found;
		return std::regex_search(key.name, found, expression) && found.size() > 1;
	});
}

static Value combine(const Value &a, const Value &b)
{
	return std::visit([](const auto &x, const auto &y) -> Value {
		using X = std::decay_t<decltype(x)>;
		using Y = std::decay_t<decltype(y)>;
		if constexpr (std::is_arithmetic_v<X> && std::is_arithmetic_v<Y>) {
			return x * 2.0 + y;
		} else if constexpr (std::is_same_v<X, std::vector<Key>> &&
				     std::is_same_v<X, Y>) {
			std::vector<Key> both;
			std::merge(x.begin(), x.end(), y.begin(), y.end(),
				   std::back_inserter(both));
			both.erase(std::unique(both.begin(), both.end()), both.end());
			return both;
		} else {
			std::ostringstream text;
			if constexpr (!std::is_same_v<X, std::vector<Key>>)
				text << x << '/';
			if constexpr (!std::is_same_v<Y, std::vector<Key>>)
				text << y;
			return text.str();
		}
	}, a, b);
}

static std::optional<double> schedule(const std::vector<Key> &keys)
{
	auto later = [](const Key &a, const Key &b) { return b < a; };
	std::priority_queue<Key, std::deque<Key>, decltype(later)> queue(later);
	std::multiset<double> areas;
	std::vector<std::unique_ptr<Shape>> shapes;

	for (const Key &key : keys) {
		queue.push(key);
		if (queue.size() > 100)
			queue.pop();
		switch (key.id % 4) {
		case 0: shapes.push_back(std::make_unique<Polygon<3 + @>>(key.id)); break;
		case 1: shapes.push_back(std::make_unique<Polygon<4 + @>>(key.id)); break;
		case 2: shapes.push_back(std::make_unique<Polygon<5 + @>>(key.id)); break;
		default: areas.insert(key.id);
		}
	}
	std::transform(shapes.begin(), shapes.end(), std::inserter(areas, areas.end()),
		       [](const auto &shape) { return shape->area(); });
	if (areas.empty())
		return std::nullopt;
	return std::accumulate(areas.begin(), areas.end(), double(queue.top().id));
}

long run(unsigned seed)
{
	std::vector<Key> keys = make_keys(2000, seed);
	std::vector<std::function<long()>> jobs;
	std::shared_ptr<Value> value = std::make_shared<Value>(std::vector<Key>(keys));
	long sum = 0;

	std::stable_sort(keys.begin(), keys.end(), [](const Key &a, const Key &b) {
		return std::tie(a.name, a.id) < std::tie(b.name, b.id);
	});
	jobs.emplace_back([&] { return long(group(keys).size()); });
	jobs.emplace_back([&] { return long(match(keys, "^key-([0-9]+)@?[05]$")); });
	jobs.emplace_back([&] { return long(schedule(keys).value_or(0)); });
	jobs.emplace_back([value] { return long(combine(*value, Value(7L)).index()); });
	for (auto &job : jobs) {
		auto result = std::async(std::launch::deferred, job);
		try {
			sum += result.get();
		} catch (const std::exception &error) {
			std::cerr << "part@: " << error.what() << '\n';
		}
	}
	return sum;
}

} // namespace part@
"""


def write(folder, count):
    """Write @count files and a main program; their paths."""
    paths = []
    for number in range(count):
        paths.append(os.path.join(folder, f"part{number}.cc"))
        with open(paths[-1], "w", encoding="ascii") as file:
            file.write(FILE.replace("@", str(number)))
    paths.append(os.path.join(folder, "main.cc"))
    with open(paths[-1], "w", encoding="ascii") as file:
        for number in range(count):
            file.write(f"namespace part{number} {{ long run(unsigned seed); }}\n")
        runs = " + ".join(f"part{number}::run(argc)" for number in range(count))
        file.write(f"int main(int argc, char **)\n{{\n\treturn ({runs}) == 0;\n}}\n")
    return paths
