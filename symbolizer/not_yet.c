#include <errno.h>
#include "symbolizer/debug_files.h"
#include "symbolizer/debuginfod.h"
#include "symbolizer/dwarf.h"
#include "symbolizer/gopclntab.h"
#include "symbolizer/symbol_cache.h"
#define W __attribute__((weak))
W void debug_file_close(struct debug_file *f) { (void)f; }
W int debug_file_find(const struct debug_search *s, struct elf_file *e, struct debug_file *r) { (void)s;(void)e;(void)r; return -ENOENT; }
W int debug_file_find_sup(const struct debug_search *s, struct elf_file *e, const char *p, struct debug_file *r) { (void)s;(void)e;(void)p;(void)r; return -ENOENT; }
W int debug_file_find_package(const struct debug_search *s, struct debug_file *r) { (void)s;(void)r; return -ENOENT; }
W int debug_file_find_split(const struct debug_search *s, const char *c, const char *n, struct debug_file *r) { (void)s;(void)c;(void)n;(void)r; return -ENOENT; }
W int mini_debug_load(struct elf_file *e, uint8_t **r, size_t *n) { (void)e;(void)r;(void)n; return -ENODATA; }
W int debuginfod_ask(struct debuginfod *c, const struct elf_build_id *b, int *r) { (void)c;(void)b;(void)r; return -ENOENT; }
W int debuginfod_start(struct debuginfod **r) { *r = NULL; return 0; }
W void debuginfod_stop(struct debuginfod *c) { (void)c; }
W int dwarf_open(const struct dwarf_config *c, struct dwarf **r) { (void)c;(void)r; return -ENODATA; }
W void dwarf_close(struct dwarf *d) { (void)d; }
W bool dwarf_find(struct dwarf *d, uint64_t a, struct source_frames *f) { (void)d;(void)a;(void)f; return false; }
W const void *dwarf_index(const struct dwarf *d, size_t *n) { (void)d; *n = 0; return NULL; }
W size_t dwarf_heap_bytes(const struct dwarf *d) { (void)d; return 0; }
W int gopclntab_open(struct elf_file *e, struct gopclntab **r) { (void)e;(void)r; return -ENODATA; }
W void gopclntab_close(struct gopclntab *t) { (void)t; }
W bool gopclntab_find(struct gopclntab *t, uint64_t a, struct source_frames *f) { (void)t;(void)a;(void)f; return false; }
W size_t gopclntab_bytes(const struct gopclntab *t) { (void)t; return 0; }
W int symbol_cache_get(struct symbol_cache *c, enum symbol_cache_kind k, const struct elf_build_id *b, uint64_t s, struct symbol_cache_entry *r) { (void)c;(void)k;(void)b;(void)s;(void)r; return -ENOENT; }
W void symbol_cache_release(struct symbol_cache_entry *e) { (void)e; }
W int symbol_cache_put(struct symbol_cache *c, enum symbol_cache_kind k, const struct elf_build_id *b, uint64_t s, const struct iovec *p, int n) { (void)c;(void)k;(void)b;(void)s;(void)p;(void)n; return -ENOSYS; }
W int symbol_cache_new(const struct symbol_cache_config *c, struct symbol_cache **r) { (void)c;(void)r; return -ENOSYS; }
W void symbol_cache_free(struct symbol_cache *c) { (void)c; }
W int elf_file_open_object(int fd, struct elf_file **ret, struct errmsg *err);
W int elf_file_open_object(int fd, struct elf_file **ret, struct errmsg *err) { (void)fd;(void)ret;(void)err; return -ENOSYS; }
