/* A program that finds the library as any other does: compiled with what pkg-config says, and nothing else. */
#include <farebox.h>

#include <stdio.h>

int main(void)
{
    farebox_engine *engine = NULL;
    const int is_open = farebox_open(&engine, FAREBOX_STR("memory:"), NULL, NULL) == FAREBOX_OK;
    const int is_closed = is_open && farebox_close(engine, NULL) == FAREBOX_OK;
    const int is_same = farebox_version_number() == FAREBOX_VERSION_NUMBER;
    printf("consumer: version %u\n", (unsigned)farebox_version_number());
    printf("%d passed, %d failed\n", is_open + is_closed + is_same, 3 - is_open - is_closed - is_same);
    return is_open && is_closed && is_same ? 0 : 1;
}
