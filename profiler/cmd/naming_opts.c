/* SPDX-License-Identifier: BSD-2-Clause */
#include "profiler/cmd/naming_opts.h"

void naming_config(const struct naming_opts *opts, struct symbolizer_config *ret)
{
	*ret = (struct symbolizer_config){
		.demangle = !opts->no_demangle,
		.simple_names = opts->simple_names,
		.with_lines = !opts->no_lines,
		.with_cache = !opts->no_cache,
		.debug_dir = opts->debug_dir,
		.symbol_bytes_max = opts->symbol_bytes,
	};
}
