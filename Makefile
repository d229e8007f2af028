# paretobench. `make help` lists the targets; config=debug|release|sanitize|coverage|fuzz builds beside each other.
MAKEFLAGS += -r -j$(shell nproc)
config ?= release
CC = gcc
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
O := build/$(config)

packages := gcc make pkg-config libcsv-dev libpcre2-dev libpapi-dev libcairo2-dev libjansson-dev libssl-dev \
	libyaml-dev libsqlite3-dev libopenblas-dev libnlopt-dev zlib1g-dev libbz2-dev libutf8proc-dev libcmocka-dev fonts-dejavu-core
modules := libpcre2-8 papi cairo jansson libcrypto yaml-0.1 sqlite3 openblas nlopt zlib libutf8proc

# Everything that compiles needs the packages. When some are missing, this makefile includes a file whose rule
# installs them, and make starts again with them in place.
goals := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out deps help clean,$(goals)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(modules) cmocka 2>/dev/null && test -f /usr/include/csv.h && test -f /usr/include/bzlib.h && echo yes),yes)
include build/deps.mk
endif
endif

version := $(shell git describe --always --dirty --tags 2>/dev/null || cat VERSION)
warnings := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
common := -std=c17 -D_GNU_SOURCE -DPB_DATADIR='"$(PREFIX)/share/paretobench"' -I. -pthread -fno-fast-math -ffp-contract=off $(warnings) \
	-DPCRE2_CODE_UNIT_WIDTH=8 $(shell $(PKG_CONFIG) --cflags $(modules) 2>/dev/null)
flags_release := -O2 -g
flags_debug := -O0 -g
flags_sanitize := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
flags_coverage := -O0 -g --coverage
flags_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(config),fuzz)
CC := clang-14
endif
CFLAGS = $(common) $(flags_$(config))
LDFLAGS = $(flags_$(config)) -rdynamic
LDLIBS = $(shell $(PKG_CONFIG) --libs $(modules)) -lcsv -lbz2 -lpthread -ldl -lm

rooms := core/base core/counters core/model core/store backends backends/train tasks tasks/world quantizers reports/stats reports/claims reports harness/run harness/cli
sources := $(filter-out %/skeleton.c,$(wildcard $(addsuffix /*.c,$(rooms))))
main := harness/cli/main.c
library := $(O)/libparetobench.a
objects := $(patsubst %.c,$(O)/%.o,$(filter-out $(main),$(sources)))
program := $(O)/paretobench
skeletons := $(patsubst %.c,$(O)/%.so,$(wildcard quantizers/skeleton.c tests/plugins/*.c))
tools := $(patsubst %.c,$(O)/%,$(wildcard tests/cli/*.c))
units := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
fuzzers := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
benches := $(patsubst %.c,$(O)/%,$(wildcard tests/bench/bench_*.c))
unit_support := $(patsubst %.c,$(O)/%.o,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))

# V=1 shows the commands.
ifneq ($(V),1)
say = @echo "$(1) $@";
endif

.PHONY: all check quickstart deps help clean install units fuzzers benches golden-update check-config
all: $(program) $(skeletons)
ifeq ($(config),release)
	@ln -sfn release/paretobench build/paretobench
endif

$(program): $(O)/harness/cli/main.o $(library)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< -Wl,--whole-archive $(library) -Wl,--no-whole-archive $(LDLIBS)
$(library): $(objects)
	@rm -f $@
	$(call say,ar)ar rcs $@ $^
# Loops over arrays that become vector code; without errno of sqrt the others do, too, with the same results.
$(O)/core/model/tensor.o $(O)/quantizers/kmeans.o $(O)/reports/stats/resample.o: flags_release := -O3 -g
$(O)/backends/train/kernels_%.o $(O)/backends/train/product_%.o $(O)/backends/train/optimizer.o: flags_release := -O3 -g -fno-math-errno -fno-trapping-math
# Sums in registers, also where memory is watched.
$(O)/backends/train/product_%.o: flags_sanitize += -O3
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(CFLAGS) $(if $(filter core/base/version.c,$<),-DPB_VERSION='"$(version)"') $(if $(filter harness/run/machine.c,$<),-DPB_YAML_BUILT='"$(shell $(PKG_CONFIG) --modversion yaml-0.1)"') -MMD -MP -c -o $@ $<
$(O)/%.so: %.c
	@mkdir -p $(@D)
	$(call say,cc)$(CC) $(CFLAGS) -fPIC -shared -MMD -MP -o $@ $<
$(O)/tests/unit/test_%: $(O)/tests/unit/test_%.o $(unit_support) $(library)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(unit_support) $(library) -lcmocka $(LDLIBS)
$(tools): %: %.o $(unit_support) $(library)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(unit_support) $(library) -lcmocka $(LDLIBS)
$(O)/tests/bench/bench_%: $(O)/tests/bench/bench_%.o $(library)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(library) $(LDLIBS)
ifeq ($(config),fuzz)
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(library)
	$(call say,link)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $< $(library) $(LDLIBS)
else
$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/onefile.o $(library)
	$(call say,link)$(CC) $(LDFLAGS) -o $@ $< $(O)/tests/fuzz/onefile.o $(library) $(LDLIBS)
endif
.PRECIOUS: $(O)/%.o
# The version goes into one object; it is made again when the description changes.
$(O)/core/base/version.o: $(O)/version.stamp
$(O)/version.stamp: .FORCE
	@mkdir -p $(@D); echo '$(version)' | cmp -s - $@ || echo '$(version)' > $@
.PHONY: .FORCE
.FORCE:

units: $(units) $(tools) $(skeletons)
fuzzers: $(fuzzers)
benches: $(benches)

# Tests: release and sanitizer builds, then one count of everything.
check:
	@$(MAKE) --no-print-directory all units fuzzers config=release
	@$(MAKE) --no-print-directory all units fuzzers config=sanitize
	@sh tests/run.sh

quickstart:
	@$(MAKE) --no-print-directory all config=release
	@sh configs/quickstart.sh

golden-update: all units
	@sh tests/golden/run.sh --update

deps build/deps.mk:
	@sh tests/deps.sh $(packages)
	@mkdir -p build && touch build/deps.mk

install: all
	install -D $(program) "$(DESTDIR)$(PREFIX)/bin/paretobench"
	find tasks configs -type f \( -name '*.yaml' -o -name '*.txt' -o -name '*.csv' -o -path 'configs/zoo/*' ! -name '*.sh' ! -name '*.md' \) -exec install -D -m 644 {} "$(DESTDIR)$(PREFIX)/share/paretobench/{}" \;

clean:
	rm -rf build

help:
	@echo 'make              build build/paretobench (config=debug|release|sanitize|coverage|fuzz)'
	@echo 'make quickstart   install what is missing, build, run configs/quickstart.yaml, write its report'
	@echo 'make check        install what is missing, build, run every test; the last line counts them'
	@echo 'make deps         install the Debian packages that are needed'
	@echo 'make benches      build the benchmarks of tests/bench'
	@echo 'make golden-update  renew tests/golden (say why in the commit)'
	@echo 'make install PREFIX=/usr/local, make clean'

-include $(shell find build/$(config) -name '*.d' 2>/dev/null)
