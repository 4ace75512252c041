/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chooses the source of samples, and hands every call on to it.
 *
 * BPF is tried first, unless what it needs is known to be missing: it counts in the kernel, walks
 * by unwind tables and filters before it writes.  What it is refused for is kept, because the user
 * will want to know why the profile has frame pointers only.
 */
#include "profiler/collect/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profiler/base/clock.h"
#include "profiler/base/err.h"
#include "profiler/base/fileio.h"
#include "profiler/base/strbuf.h"
#include "profiler/collect/host.h"
#include "profiler/collect/sampler_source.h"

uint32_t sampler_power_of_two(uint64_t at_least, uint32_t min, uint32_t max)
{
	uint32_t size = min;

	while (size < at_least && size < max)
		size *= 2;
	return size;
}

uint64_t sampler_samples_in(const struct sampler_config *config, unsigned int cpu_cnt, uint64_t ns)
{
	return (uint64_t)((double)cpu_cnt * config->freq_hz * ((double)ns / NS_PER_SEC));
}

/* Cycles per second of a CPU at its fastest, for a fixed period; 2 GHz where nobody says. */
static uint64_t cycles_per_sec(void)
{
	struct strbuf text = STRBUF_INIT;
	uint64_t khz = 0;

	if (read_path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", 64, &text) == 0)
		khz = strtoull(text.text, NULL, 10);
	strbuf_free(&text);
	return khz ? khz * 1000 : 2000000000ull;
}

uint64_t sampler_period_at(const struct sampler_config *config, unsigned int freq_hz)
{
	return (config->event == SAMPLER_CYCLES ? cycles_per_sec() : NS_PER_SEC) / freq_hz;
}

void sampler_init(struct sampler *sampler, const struct sampler_source *source,
		  const struct sampler_config *config)
{
	sampler->source = source;
	sampler->config = *config;
	sampler->period = sampler_period_at(config, config->freq_hz);
}

/* What BPF lacks here for certain; false: it is worth the try. */
static bool lacks_bpf(struct errmsg *why)
{
	struct host_capabilities has;

	if (host_capabilities_read(&has) == 0 && !host_can_profile(&has)) {
		err_say(why, -EPERM, "not allowed to use BPF: %s%s%s missing",
			has.bpf ? "" : "CAP_BPF", has.bpf || has.perfmon ? "" : " and ",
			has.perfmon ? "" : "CAP_PERFMON");
		return true;
	}
	if (!host_has_btf()) {
		err_say(why, -ENOENT, "this kernel has no BTF: /sys/kernel/btf/vmlinux is missing");
		return true;
	}
	return false;
}

int sampler_new(const struct sampler_config *config, const struct targets *targets,
		struct sampler **ret, struct errmsg *err)
{
	struct errmsg why = {}, ring_err = {};
	int code;

	if (config->by == SAMPLER_BY_BPF)
		return sampler_source_bpf.open(config, targets, ret, err);
	if (config->by == SAMPLER_BY_AUTO && !lacks_bpf(&why)) {
		code = sampler_source_bpf.open(config, targets, ret, &why);
		if (!code)
			return 0;
	}
	code = sampler_source_ring.open(config, targets, ret, &ring_err);
	if (code)
		return err_say(err, code, "%s%s%s", why.text,
			       why.text[0] ? "; and without BPF: " : "", ring_err.text);
	snprintf((*ret)->about.why, sizeof((*ret)->about.why), "%s", why.text);
	return 0;
}

void sampler_free(struct sampler *sampler)
{
	if (sampler)
		sampler->source->free(sampler);
}

const struct sampler_about *sampler_about(const struct sampler *sampler)
{
	return &sampler->about;
}

uint64_t sampler_period(const struct sampler *sampler)
{
	return sampler->period;
}

unsigned int sampler_cpu_cnt(const struct sampler *sampler)
{
	return sampler->cpu_cnt;
}

int sampler_follow_command(struct sampler *sampler, pid_t tgid)
{
	return sampler->source->follow_command(sampler, tgid);
}

int sampler_forked(struct sampler *sampler, pid_t parent, pid_t tgid)
{
	return sampler->source->forked(sampler, parent, tgid);
}

void sampler_ended(struct sampler *sampler, pid_t tgid)
{
	sampler->source->ended(sampler, tgid);
}

int sampler_set_freq(struct sampler *sampler, unsigned int freq_hz)
{
	return sampler->source->set_freq(sampler, freq_hz);
}

int sampler_open_sideband(struct sampler *sampler, size_t ring_bytes_per_cpu,
			  struct sideband **ret, struct errmsg *err)
{
	return sampler->source->open_sideband(sampler, ring_bytes_per_cpu, ret, err);
}

int sampler_start(struct sampler *sampler, struct errmsg *err)
{
	return sampler->source->start(sampler, err);
}

void sampler_stop(struct sampler *sampler)
{
	sampler->source->stop(sampler);
}

int sampler_check_cpus(struct sampler *sampler)
{
	return sampler->source->check_cpus(sampler);
}

int sampler_end_epoch(struct sampler *sampler, uint32_t *ret_epoch, struct sampler_totals *ret)
{
	return sampler->source->end_epoch(sampler, ret_epoch, ret);
}

uint64_t sampler_counted(const struct sampler *sampler)
{
	return sampler->source->counted(sampler);
}

int sampler_drain_bodies(struct sampler *sampler, const struct body_handler *handler)
{
	return sampler->source->drain_bodies(sampler, handler);
}

int sampler_drain_counts(struct sampler *sampler, uint32_t epoch,
			 int (*count)(void *context, const struct sample_key *key, uint64_t value),
			 void *context)
{
	return sampler->source->drain_counts(sampler, epoch, count, context);
}

void sampler_raise_generation(struct sampler *sampler, pid_t tgid)
{
	sampler->source->raise_generation(sampler, tgid);
}

void sampler_quiesce(struct sampler *sampler)
{
	sampler->source->quiesce(sampler);
}

int sampler_poll_fd(const struct sampler *sampler)
{
	return sampler->source->poll_fd(sampler);
}

struct shared_maps *sampler_shared_maps(struct sampler *sampler)
{
	return sampler->source->shared_maps(sampler);
}

pid_t sampler_next_followed(const struct sampler *sampler, pid_t tgid)
{
	return sampler->source->next_followed(sampler, tgid);
}

size_t sampler_tracers(const struct sampler *sampler, struct tracer_outcome *ret)
{
	return sampler->source->tracers(sampler, ret);
}

void sampler_cost(const struct sampler *sampler, struct sampler_cost *ret)
{
	sampler->source->cost(sampler, ret);
}
