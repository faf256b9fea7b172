/* library.c - a shared library that is no module. */
int weir_is_not_here(void);

int
weir_is_not_here(void)
{
    return 0;
}
