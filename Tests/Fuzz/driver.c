/* Runs a target without libFuzzer: inputs from files, and a seeded number of mutations of them.
 *
 *   driver FILE...                  replays files, in folders too
 *   driver --runs N --seed S --save FILE PATH...
 *                                   and then N inputs made from them; one that fails is written to FILE
 *   driver --words                  prints the target's words as a dictionary of libFuzzer
 *
 * Ends with "R replayed, M mutated". */
#include "mutate.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* No input takes this long, by a factor of some hundreds. */
enum { MOST_SECONDS = 60 };

typedef struct input {
    uint8_t *bytes;
    size_t size;
} input;

static input *inputs;
static size_t input_count;

/* What is running, for the one that fails. */
static const uint8_t *running;
static size_t running_size;
static const char *save_path;

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    input next = {malloc(MOST_BYTES), 0};
    inputs = realloc(inputs, (input_count + 1) * sizeof *inputs);
    if (next.bytes == NULL || inputs == NULL) {
        exit(2);
    }
    next.size = fread(next.bytes, 1, MOST_BYTES, file);
    fclose(file);
    /* Exact, so that a read past the end is found where something looks for that. */
    uint8_t *exact = realloc(next.bytes, next.size > 0 ? next.size : 1);
    next.bytes = exact == NULL ? next.bytes : exact;
    inputs[input_count++] = next;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of the names, so that a seed means the same on every machine. */
static void add_path(const char *path)
{
    struct stat what;
    if (stat(path, &what) != 0) {
        perror(path);
        exit(2);
    }
    if (!S_ISDIR(what.st_mode)) {
        add_file(path);
        return;
    }
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_visible, alphasort);
    for (int k = 0; k < count; k++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[k]->d_name);
        add_path(name);
        free(entries[k]);
    }
    free(entries);
}

static void save(int number)
{
    if (save_path != NULL && running != NULL) {
        FILE *file = fopen(save_path, "wb");
        if (file != NULL) {
            fwrite(running, 1, running_size, file);
            fclose(file);
        }
    }
    if (number == SIGALRM) {
        static const char text[] = "the input hangs\n";
        (void)!write(2, text, sizeof text - 1);
    }
    signal(number, SIG_DFL);
    raise(number);
}

static void run(const uint8_t *bytes, size_t size)
{
    running = bytes;
    running_size = size;
    alarm(MOST_SECONDS);
    LLVMFuzzerTestOneInput(bytes, size);
    alarm(0);
    running = NULL;
}

static void print_words(void)
{
    for (size_t k = 0; fuzz_words[k] != NULL; k++) {
        putchar('"');
        for (const char *at = fuzz_words[k]; *at != '\0'; at++) {
            printf("\\x%02x", (unsigned char)*at);
        }
        puts("\"");
    }
}

int main(int count, char **arguments)
{
    uint64_t runs = 0, seed = 1;
    for (int k = 1; k < count; k++) {
        if (strcmp(arguments[k], "--words") == 0) {
            print_words();
            return 0;
        } else if (strcmp(arguments[k], "--runs") == 0 && k + 1 < count) {
            runs = strtoull(arguments[++k], NULL, 10);
        } else if (strcmp(arguments[k], "--seed") == 0 && k + 1 < count) {
            seed = strtoull(arguments[++k], NULL, 10);
        } else if (strcmp(arguments[k], "--save") == 0 && k + 1 < count) {
            save_path = arguments[++k];
        } else {
            add_path(arguments[k]);
        }
    }
    static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
    for (size_t k = 0; k < sizeof deadly / sizeof deadly[0]; k++) {
        signal(deadly[k], save);
    }
    for (size_t k = 0; k < input_count; k++) {
        run(inputs[k].bytes, inputs[k].size);
    }
    static uint8_t made[MOST_BYTES];
    for (uint64_t k = 0; k < runs && input_count > 0; k++) {
        mutate_seed(seed * UINT64_C(1000003) + k);
        const input *from = &inputs[mutate_below(input_count)];
        const input *other = &inputs[mutate_below(input_count)];
        memcpy(made, from->bytes, from->size);
        size_t size = from->size;
        const uint64_t steps = 1 + mutate_below(4);
        for (uint64_t step = 0; step < steps; step++) {
            size = mutate(made, size, MOST_BYTES, other->bytes, other->size);
        }
        uint8_t *exact = malloc(size > 0 ? size : 1);
        if (exact == NULL) {
            return 2;
        }
        memcpy(exact, made, size);
        run(exact, size);
        free(exact);
    }
    printf("%zu replayed, %" PRIu64 " mutated\n", input_count, input_count > 0 ? runs : 0);
    return 0;
}
