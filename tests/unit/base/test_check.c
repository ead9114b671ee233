/*
 * test_check.c - a broken invariant ends the process and says which one.
 */
#include "breakwater/base/check.h"

#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct outer {
    int before;
    int inner;
};

/* Fails an assertion in a child whose stderr is the pipe. */
static void fail_in_child(int fd)
{
    signal(SIGABRT, SIG_DFL);
    dup2(fd, STDERR_FILENO);
    BW_ASSERT(1 + 1 == 3);
    _exit(0);
}

TEST(a_failed_assertion_names_itself_and_aborts)
{
    int fds[2], status = 0;
    char said[512] = {0};

    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0)
        fail_in_child(fds[1]);
    close(fds[1]);
    assert_true(read(fds[0], said, sizeof(said) - 1) > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "test_check.c"));
    assert_non_null(strstr(said, "1 + 1 == 3"));
    close(fds[0]);
}

TEST(an_assertion_that_holds_does_nothing)
{
    BW_ASSERT(1 + 1 == 2);
}

TEST(a_member_leads_to_its_struct)
{
    struct outer o = {1, 2};
    int *inner = &o.inner;

    assert_ptr_equal(BW_CONTAINER_OF(inner, struct outer, inner), &o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(a_failed_assertion_names_itself_and_aborts),
        RUN(an_assertion_that_holds_does_nothing),
        RUN(a_member_leads_to_its_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
