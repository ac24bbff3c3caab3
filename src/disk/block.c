/* SPDX-License-Identifier: MIT */
/* What every block device checks before it touches an image. */
#include "disk/block.h"

#include <errno.h>

#define SECTOR 512

i64 block_check(const struct block *b, const struct iovec *iov, int n, u64 offset)
{
    u64 total = 0;
    if (n < 0 || offset % SECTOR || offset > b->size)
        return -EINVAL;
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > b->size - offset - total)
            return -EINVAL;
        total += iov[i].iov_len;
    }
    return total % SECTOR ? -EINVAL : (i64)total;
}
