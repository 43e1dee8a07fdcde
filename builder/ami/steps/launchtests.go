// Copyright The packer-plugin-ethminer Authors
// SPDX-License-Identifier: MPL-2.0

package steps

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
	"strings"
	"sync"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/hashicorp/packer-plugin-sdk/multistep"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/eth-mining/packer-plugin-ethminer/builder/ami/options"
	"github.com/eth-mining/packer-plugin-ethminer/internal/artifact"
	"github.com/eth-mining/packer-plugin-ethminer/internal/clock"
	"github.com/eth-mining/packer-plugin-ethminer/internal/distribute"
	"github.com/eth-mining/packer-plugin-ethminer/internal/miner"
	"github.com/eth-mining/packer-plugin-ethminer/internal/tags"
	"github.com/eth-mining/packer-plugin-ethminer/internal/usd"
)

// A launch test is a build of its own, whose last step checks the instance instead of
// making an image of it. It has the account, the ledger and the build id of the build
// whose image it tests, and runs while that image is copied.

// RunTest runs the steps of a test, with their clean-up, and returns the error of the one
// that failed.
type RunTest func(ctx context.Context, test *Build, ui packersdk.Ui) error

// launchTests are the tests of a build's images.
type launchTests struct {
	run         RunTest
	ctx         context.Context // of all tests
	end         context.CancelFunc
	slots       chan struct{} // one for each test that runs
	unreachable bool          // nothing can log in to an instance
	tags        bool          // write failures to the images' tags too
	wg          sync.WaitGroup

	mu       sync.Mutex
	tests    []*launchTest
	rejected chan struct{} // closed by the first test that ends the build
}

// launchTest is the test of one image.
type launchTest struct {
	once     sync.Once
	launched chan struct{} // closed once the instance exists, or the test has ended
	done     chan struct{} // closed once the verdict is known
	result   artifact.LaunchTest
}

// BeginLaunchTests starts the test of the image of the instance. Distribute starts those
// of the copies.
type BeginLaunchTests struct {
	RunTest RunTest
	// Checks is true if the checks need no login.
	Checks bool
}

func (BeginLaunchTests) Facts() (needs, yields []Fact) {
	return facts(Adopted, BuildImage), facts(LaunchTests)
}

func (s BeginLaunchTests) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b := BuildOf(state)
	if b.Config.LaunchTest == nil || b.Config.SkipCreateAMI {
		return multistep.ActionContinue
	}
	b.tests = newLaunchTests(ctx, s.RunTest)
	b.tests.unreachable = b.simulated() && !s.Checks
	// The image of the instance is tested by default, even if it is only an
	// intermediary; a list of regions is one of images that are kept.
	if !b.intermediary || len(b.Config.LaunchTest.Regions) == 0 {
		b.beginTest(UIOf(state), b.image)
	}
	return multistep.ActionContinue
}

func newLaunchTests(ctx context.Context, run RunTest) *launchTests {
	t := &launchTests{run: run, slots: make(chan struct{}, options.LaunchTestsTogether), rejected: make(chan struct{})}
	t.ctx, t.end = context.WithCancel(ctx)
	return t
}

// TestImages tests existing images, at most options.LaunchTestsTogether at once, and
// returns the verdicts in their order. tag writes these to the images' tags.
func (b *Build) TestImages(ctx context.Context, ui packersdk.Ui, run RunTest, images []distribute.Image, tag bool) []artifact.LaunchTest {
	b.tests = newLaunchTests(ctx, run)
	b.tests.tags = tag
	tests := make([]*launchTest, len(images))
	for i, image := range images {
		tests[i] = newLaunchTest(image)
		b.queueTest(ui, tests[i])
	}
	b.tests.wg.Wait()
	results := make([]artifact.LaunchTest, len(tests))
	for i, t := range tests {
		results[i] = t.result
	}
	return results
}

func newLaunchTest(image distribute.Image) *launchTest {
	return &launchTest{
		launched: make(chan struct{}), done: make(chan struct{}), result: artifact.LaunchTest{Region: image.Region, Image: image.ID},
	}
}

// Cleanup ends the tests of a failed build, and waits for their clean-up.
func (BeginLaunchTests) Cleanup(state multistep.StateBag) { BuildOf(state).EndLaunchTests() }

// EndLaunchTests ends the tests that still run, and waits for the clean-up of all.
func (b *Build) EndLaunchTests() {
	if b.tests != nil {
		b.tests.end()
		b.tests.wg.Wait()
	}
}

// beginTest starts the test of an available image, if its region has one and it was not
// tested before.
func (b *Build) beginTest(ui packersdk.Ui, image distribute.Image) {
	home := b.Clients.Region()
	if b.tests == nil || !slices.Contains(b.Config.TestedRegions(home), image.Region) {
		return
	}
	t := newLaunchTest(image)
	if !b.tests.add(t) {
		return
	}
	if verdict := b.verdicts[image.Region]; artifact.TagSaysPassed(verdict) {
		t.result.Verdict, t.result.Reason, t.result.Earlier = artifact.TestPassed, verdict, true
		b.decide(ui, t)
		return
	}
	if b.tests.unreachable {
		t.result.Verdict, t.result.Reason = artifact.TestNotMade, "there is no instance to log in to (rehearsal_instance = \"none\")"
		b.decide(ui, t)
		return
	}
	b.queueTest(ui, t)
}

// add adds a test, unless its region has one.
func (t *launchTests) add(test *launchTest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.ContainsFunc(t.tests, func(o *launchTest) bool { return o.result.Region == test.result.Region }) {
		return false
	}
	t.tests = append(t.tests, test)
	return true
}

// queueTest runs a test in the background as soon as there is a slot.
func (b *Build) queueTest(ui packersdk.Ui, t *launchTest) {
	b.tests.wg.Go(func() {
		select {
		case b.tests.slots <- struct{}{}:
			defer func() { <-b.tests.slots }()
		case <-b.tests.ctx.Done():
			return
		}
		b.runTest(ui, t)
	})
}

// errTestTimeout ends a test that takes too long.
var errTestTimeout = errors.New("the time of the test is over")

// runTest launches the instance of a test, and checks it.
func (b *Build) runTest(ui packersdk.Ui, t *launchTest) {
	region := t.result.Region
	ui.Sayf("Launch test: launching an instance of %s in %s...", t.result.Image, region)
	config, err := b.given.ForLaunchTest(b.Clients.Region(), region, t.result.Image, b.Report.InstanceType)
	if err != nil {
		t.result.Verdict, t.result.Reason = artifact.TestNotMade, err.Error()
		b.decide(ui, t)
		return
	}
	test := NewBuild(config, b.Clients.In(region), b.Pace)
	test.ledger, test.test, test.Report.BuildID = b.ledger, t, b.Report.BuildID
	ctx, cancel := context.WithTimeoutCause(b.tests.ctx, clock.Real(config.LaunchTest.Timeout()), errTestTimeout)
	defer cancel()
	test.decided = func() { b.decide(ui, t) }
	err = b.tests.run(ctx, test, testUI{ui, region})
	if b.tests.ctx.Err() == nil { // else the build has ended
		test.notLaunched(err)
	}
}

// decide publishes the verdict of a test, once. An image that passed is tagged at once,
// so that a resumed build does not test it again.
func (b *Build) decide(ui packersdk.Ui, t *launchTest) {
	t.once.Do(func() {
		r := &t.result
		if r.FinishedAt.IsZero() && !r.Earlier {
			r.FinishedAt = time.Now().UTC().Truncate(time.Second)
		}
		say, line := ui.Sayf, sayTest(*r)
		if r.Verdict == artifact.TestFailed || b.Config.RejectsTest(*r) {
			say = ui.Errorf
		}
		say("%s", line)
		borrowed := b.adopted[r.Region].Borrowed && b.adopted[r.Region].ID == r.Image // the build never changes it
		if passed := r.Verdict == artifact.TestPassed; !r.Earlier && !borrowed && (passed || b.tests.tags && r.Verdict == artifact.TestFailed) {
			mark := ec2Tags(map[string]string{tags.LaunchTest: truncate(r.Tag())})
			if err := b.finish(ui.Sayf).Tag(b.tests.ctx, b.EC2Of("", r.Region), distribute.Image{Region: r.Region, ID: r.Image}, mark); err != nil && b.tests.ctx.Err() == nil {
				ui.Errorf("launch test: writing the verdict to the image's tag: %s", err)
			}
		}
		b.tests.mu.Lock()
		defer b.tests.mu.Unlock()
		// First, so that a step that sees the verdict also sees that it ends the build.
		if b.Config.RejectsTest(*r) && b.Config.OnLaunchTestFailure == options.OnFailureRollback {
			select {
			case <-b.tests.rejected:
			default:
				close(b.tests.rejected)
			}
		}
		close(t.done)
		t.seen()
	})
}

// seen records that the instance exists, or will not.
func (t *launchTest) seen() {
	select {
	case <-t.launched:
	default:
		close(t.launched)
	}
}

// testedAt returns the image and the region of a test.
func testedAt(r artifact.LaunchTest) string {
	if r.Image == "" {
		return r.Region
	}
	return r.Image + " in " + r.Region
}

// sayTest describes the result of a test in one line, and the evidence in another.
func sayTest(r artifact.LaunchTest) string {
	where := testedAt(r)
	if r.Earlier {
		return fmt.Sprintf("Launch test of %s: %s (by an earlier run)", where, r.Reason)
	}
	text := fmt.Sprintf("Launch test of %s %s", where, r.Verdict)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.Verdict == artifact.TestPassed {
		var names []string
		for _, c := range r.Checks {
			names = append(names, c.Name)
		}
		text += ": " + strings.Join(names, ", ")
		if r.Hashrate > 0 {
			text += fmt.Sprintf("; %s", miner.Rate(r.Hashrate))
			if r.ExpectedHashrate > 0 {
				text += fmt.Sprintf(" (benchmark %s)", miner.Rate(r.ExpectedHashrate))
			}
		}
	}
	if r.InstanceID != "" && r.BilledSeconds > 0 {
		text += fmt.Sprintf("; %s, %s, %s: %.0f s billed", r.InstanceID, r.InstanceType, r.Market, r.BilledSeconds)
		if r.CostUSD > 0 {
			text += ", " + usd.Cost("about", r.CostUSD)
		}
	}
	if r.Output != "" {
		text += "\n" + strings.ToUpper(r.Output[:1]) + r.Output[1:]
	}
	if r.Evidence != "" {
		text += "\nConsole output, journal and state of cloud-init: " + r.Evidence
	}
	return text
}

// untilRejected returns a context that ends with the first launch test that ends the
// build.
func (b *Build) untilRejected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if b.tests != nil {
		go func() {
			select {
			case <-b.tests.rejected:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// rejection returns the error of the launch tests that end the build so far.
func (b *Build) rejection() error {
	if b.tests == nil {
		return nil
	}
	select {
	case <-b.tests.rejected:
	default:
		return nil
	}
	var errs []error
	for _, r := range b.tests.results() {
		if b.Config.RejectsTest(r) {
			errs = append(errs, fmt.Errorf("launch_test: %s %s: %s", testedAt(r), r.Verdict, r.Reason))
		}
	}
	return errors.Join(errs...)
}

// results returns the results of the tests with a verdict, by region.
func (t *launchTests) results() (list []artifact.LaunchTest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, test := range t.tests {
		select {
		case <-test.done:
			list = append(list, test.result)
		default:
		}
	}
	slices.SortFunc(list, func(x, y artifact.LaunchTest) int { return strings.Compare(x.Region, y.Region) })
	return list
}

// awaitLaunched waits until the test of an image no longer needs the image.
func (b *Build) awaitLaunched(ctx context.Context, image string) {
	if b.tests == nil {
		return
	}
	b.tests.mu.Lock()
	at := slices.IndexFunc(b.tests.tests, func(t *launchTest) bool { return t.result.Image == image })
	b.tests.mu.Unlock()
	if at < 0 {
		return
	}
	select {
	case <-b.tests.tests[at].launched:
	case <-ctx.Done():
	}
}

// AwaitLaunchTests waits for the verdicts. If all tests allow it, it shares the images.
// Otherwise the build fails, or keeps the images without releasing them
// (on_launch_test_failure).
type AwaitLaunchTests struct{ noCleanup }

func (AwaitLaunchTests) Facts() (needs, yields []Fact) {
	return facts(Adopted, LaunchTests, Images, AccountImages), facts(LaunchTests)
}

func (AwaitLaunchTests) Run(ctx context.Context, state multistep.StateBag) multistep.StepAction {
	b, ui := BuildOf(state), UIOf(state)
	if b.tests == nil {
		return multistep.ActionContinue
	}
	b.missTests(ui)
	b.tests.mu.Lock()
	tests := slices.Clone(b.tests.tests)
	b.tests.mu.Unlock()
	for _, t := range tests {
		select {
		case <-t.done:
		case <-b.tests.rejected:
		case <-ctx.Done():
			return Halt(state, "launch_test: %w", context.Cause(ctx))
		}
	}
	b.Report.LaunchTests = b.tests.results()
	if err := b.rejection(); err != nil {
		return Halt(state, "%w", err)
	}
	if slices.ContainsFunc(b.Report.LaunchTests, b.Config.RejectsTest) {
		b.keepUnreleased(ctx, ui)
		b.Done = ctx.Err() == nil
		return multistep.ActionContinue
	}
	b.cleared = true
	finish := b.finish(ui.Sayf)
	err := b.inAllRegions(b.Images, func(image distribute.Image) error {
		return finish.Share(ctx, b.EC2Of("", image.Region), image)
	})
	if err != nil {
		return Halt(state, "sharing: %w", err)
	}
	return multistep.ActionContinue
}

// missTests decides the tests of regions that have got no image.
func (b *Build) missTests(ui packersdk.Ui) {
	for _, region := range b.Config.TestedRegions(b.Clients.Region()) {
		t := newLaunchTest(distribute.Image{Region: region})
		if b.tests.add(t) {
			t.result.Verdict, t.result.Reason = artifact.TestNotMade, "the build has no image in this region"
			b.decide(ui, t)
		}
	}
}

// keepUnreleased marks the artifact, and tags all images as failed, and as held, so that a sweep keeps them.
func (b *Build) keepUnreleased(ctx context.Context, ui packersdk.Ui) {
	b.Report.Unreleased = true
	finish := b.finish(ui.Sayf)
	mark := append(ec2Tags(map[string]string{tags.State: tags.Held}), b.testTags()...)
	err := b.inAllRegions(slices.Concat(b.Images, b.AccountImages), func(image distribute.Image) error {
		return finish.Tag(ctx, b.EC2Of(image.Account, image.Region), image, mark)
	})
	if err != nil {
		ui.Errorf("could not tag the images as failed; `sweep` may delete them once the time in their tag %s has passed: %s", tags.Expires, err)
	}
	ui.Errorf("Keeping the images, which are not released: not shared, and without effect on older images (on_launch_test_failure = \"keep\")")
}

// testTags returns the tag with the verdict: of a failed test, else of the first.
func (b *Build) testTags() []ec2types.Tag {
	list := b.Report.LaunchTests
	if len(list) == 0 {
		return nil
	}
	shown := list[0]
	if at := slices.IndexFunc(list, b.Config.RejectsTest); at >= 0 {
		shown = list[at]
	}
	return ec2Tags(map[string]string{tags.LaunchTest: truncate(shown.Tag())})
}

// testUI is the user interface of a test's steps. They say what is of no interest next to
// the build's own lines; it goes into Packer's log.
type testUI struct {
	packersdk.Ui
	region string
}

func (u testUI) log(line string) { log.Printf("[INFO] launch test in %s: %s", u.region, line) }

func (u testUI) Say(line string)                   { u.log(line) }
func (u testUI) Message(line string)               { u.log(line) }
func (u testUI) Error(line string)                 { u.log(line) }
func (u testUI) Sayf(format string, args ...any)   { u.log(fmt.Sprintf(format, args...)) }
func (u testUI) Errorf(format string, args ...any) { u.log(fmt.Sprintf(format, args...)) }
