/* weircat.c - binlog files in, JSON lines out. */

int
main(void)
{
    return 0;
}
