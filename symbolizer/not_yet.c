#include <errno.h>
#include "symbolizer/debug_files.h"
#include "symbolizer/debuginfod.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/symbol_cache.h"
#define W __attribute__((weak))
W int symbol_cache_get(struct symbol_cache *c, enum symbol_cache_kind k, const struct elf_build_id *b, uint64_t s, struct symbol_cache_entry *r) { (void)c;(void)k;(void)b;(void)s;(void)r; return -ENOENT; }
W void symbol_cache_release(struct symbol_cache_entry *e) { (void)e; }
W int symbol_cache_put(struct symbol_cache *c, enum symbol_cache_kind k, const struct elf_build_id *b, uint64_t s, const struct iovec *p, int n) { (void)c;(void)k;(void)b;(void)s;(void)p;(void)n; return -ENOSYS; }
W int symbol_cache_new(const struct symbol_cache_config *c, struct symbol_cache **r) { (void)c;(void)r; return -ENOSYS; }
W void symbol_cache_free(struct symbol_cache *c) { (void)c; }
