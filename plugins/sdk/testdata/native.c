// Reads texts from standard input and tells what is in them, as json.c does, on a machine that notices reading past the end.
#include "json.c"

#include <stdio.h>

int32_t rosterd_v1_input_len(void) { abort(); }
int32_t rosterd_v1_input_read(void *dst, uint32_t off, uint32_t len) { (void)dst, (void)off, (void)len; abort(); }
int32_t rosterd_v1_output_write(const void *ptr, uint32_t len) { (void)ptr, (void)len; abort(); }
void rosterd_v1_fail(int32_t code, uint32_t retry, const void *ptr, uint32_t len) { (void)code, (void)retry, (void)ptr, (void)len; abort(); }
int32_t rosterd_v1_http_request(const void *req, uint32_t len, const void *body, uint32_t body_len) { (void)req, (void)len, (void)body, (void)body_len; abort(); }
int32_t rosterd_v1_http_status(int32_t h) { (void)h; abort(); }
int32_t rosterd_v1_http_body_len(int32_t h) { (void)h; abort(); }
int32_t rosterd_v1_http_body_read(int32_t h, void *dst, uint32_t off, uint32_t len) { (void)h, (void)dst, (void)off, (void)len; abort(); }

int main(void) {
	uint32_t len;
	while (fread(&len, sizeof len, 1, stdin) == 1) {
		char *text = malloc(len); // as large as it is, and not a byte more
		if (fread(text, 1, len, stdin) != len) return 1;
		rosterd__reset();
		rosterd_str out = told((rosterd_str){text, len});
		len = (uint32_t)out.len;
		fwrite(&len, sizeof len, 1, stdout);
		fwrite(out.ptr, 1, out.len, stdout);
		fflush(stdout);
		free(text);
	}
	return 0;
}
