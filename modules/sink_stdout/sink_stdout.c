#include <weir/module.h>
