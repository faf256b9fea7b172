/*
 * bulk_loop.c - posts recorded _bulk requests, one after the other, on one
 * connection: as fast as anything can be that sends these on one.
 *
 *     bulk_loop URL FILE...        prints the seconds it took
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *
content(const char *path, long *len)
{
    FILE *in = fopen(path, "rb");

    if (!in || fseek(in, 0, SEEK_END) || (*len = ftell(in)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(in);
    char *data = malloc((size_t)*len + 1);
    if (!data || fread(data, 1, (size_t)*len, in) != (size_t)*len) {
        perror(path);
        exit(1);
    }
    fclose(in);
    return data;
}

static size_t
count(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    *(size_t *)arg += size * n;
    return size * n;
}

int
main(int argc, char **argv)
{
    CURL              *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    size_t             got = 0;
    char             **bodies = calloc((size_t)argc, sizeof *bodies);
    long              *lens = calloc((size_t)argc, sizeof *lens), status = 0;

    headers = curl_slist_append(headers, "Content-Type: application/x-ndjson");
    headers = curl_slist_append(headers, "Expect:");
    for (int i = 2; i < argc; i++) {
        bodies[i] = content(argv[i], &lens[i]);
    }
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
    const double start = now();
    for (int i = 2; i < argc; i++) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, lens[i]);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bodies[i]);
        if (curl_easy_perform(curl) != CURLE_OK ||
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) ||
            status != 200) {
            fprintf(stderr, "%s: HTTP %ld\n", argv[i], status);
            return 1;
        }
    }
    printf("%.3f\n", now() - start);
    return 0;
}
