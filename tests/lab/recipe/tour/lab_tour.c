// The smallest module: DKMS builds it for every kernel of the tour.
#include <linux/module.h>

static int __init lab_tour_init(void) { return 0; }
static void __exit lab_tour_exit(void) {}

module_init(lab_tour_init);
module_exit(lab_tour_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A module that DKMS builds");
