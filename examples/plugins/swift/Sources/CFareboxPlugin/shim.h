#include <farebox_plugin.h>
