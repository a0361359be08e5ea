/*
 * Runs a fuzz target without a fuzzer: over the files given, or else over a
 * fixed number of pseudo-random inputs, the same on every run.  Real fuzzing is
 * a build with -Dfuzz=true; this keeps the targets building and honest.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	static uint8_t data[4 << 20];
	size_t n = fread(data, 1, sizeof data, f);
	fclose(f);
	/* A copy of the exact size lets the sanitizer see an overrun by one. */
	uint8_t *exact = malloc(n ? n : 1);
	memcpy(exact, data, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run_file(argv[i]);
	if (argc == 1)
		for (int i = 0; i < 20000; i++) {
			size_t n = next() % (i % 10 == 0 ? 2000 : 64);
			uint8_t *data = malloc(n ? n : 1);
			for (size_t j = 0; j < n; j++)
				/* Small values meet tags and lengths more often. */
				data[j] = (uint8_t)(next() % 3 ? next() % 24 : next());
			LLVMFuzzerTestOneInput(data, n);
			free(data);
		}
	printf("1..1\n%sok 1 - inputs_are_survived\n", failed ? "not " : "");
	return failed;
}
