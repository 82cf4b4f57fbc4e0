/* farebox-worker: the process that a plugin runs in. All of it is in the library, so that a host and its workers never
 * differ in version. A host starts it (docs/plugin-isolation.md); started by hand it says so and ends. */
#include <farebox.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    const int status = farebox_worker_main(argc, argv);
    if (status == 2) {
        fputs("farebox-worker: it is started by Farebox, with a channel to its host\n", stderr);
    }
    return status;
}
