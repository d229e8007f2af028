/* OK(f(..., ERR)): a call that must succeed; else the test fails with the call and its message. */
#ifndef PB_TESTS_UNIT_EXPECT_H
#define PB_TESTS_UNIT_EXPECT_H

#define OK(call) do { \
	struct pb_error err_ = { 0 }; \
	enum pb_status status_ = (call); \
	if (status_) \
		fail_msg("%s: status %d: %s", #call, (int)status_, err_.text); \
} while (0)
#define ERR (&err_)

#endif
