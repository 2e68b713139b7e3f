//! Films that nobody recorded: three seconds of moving pictures, white for a tenth of each second, with a beep exactly then;
//! in every codec, shape, rate and layout that Debian's ffmpeg writes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::shared_media;

/// How a source is made and what is known of it beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    /// File name.
    pub(super) file: &'static str,
    /// ffmpeg's, split at blanks.
    arguments: &'static str,
    size: &'static str,
    rate: &'static str,
    hertz: u32,
    /// Filters of the pictures, each with a comma in front.
    filters: &'static str,
    /// Filters of the sound, each with a comma in front.
    sound_filters: &'static str,
    pictures: bool,
    sound: bool,
    then: Then,
    pub(super) traits: Traits,
}

/// What makes a source hard to hold results against.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Traits {
    /// Pictures that the container or the codec may lose or repeat at the ends.
    pub(super) loose: usize,
    /// Tone mapped, fields woven, or transparent: results are other pictures than those of the file.
    pub(super) other_pictures: bool,
    /// Times are those of an interrupted source: only what is decoded is looked at.
    pub(super) damaged: bool,
    /// Of a camera: nothing flashes and beeps.
    pub(super) recorded: bool,
}

/// What becomes of the file that ffmpeg wrote.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// It is a file that tests are given.
    Given,
    Stays,
    /// Copied with these arguments.
    Copied(&'static str),
    /// Cut off after so many percent.
    Cut(usize),
    /// 3,000 bytes in the middle are others.
    Holed,
}

const fn film(file: &'static str, arguments: &'static str) -> Recipe {
    Recipe {
        file,
        arguments,
        size: "320x180",
        rate: "25",
        hertz: 48_000,
        filters: "",
        sound_filters: "",
        pictures: true,
        sound: true,
        then: Then::Stays,
        traits: Traits {
            loose: 0,
            other_pictures: false,
            damaged: false,
            recorded: false,
        },
    }
}

impl Recipe {
    const fn size(self, size: &'static str) -> Self {
        Self { size, ..self }
    }

    const fn rate(self, rate: &'static str) -> Self {
        Self { rate, ..self }
    }

    const fn hertz(self, hertz: u32) -> Self {
        Self { hertz, ..self }
    }

    const fn filters(self, filters: &'static str) -> Self {
        Self { filters, ..self }
    }

    const fn sound_filters(self, sound_filters: &'static str) -> Self {
        Self {
            sound_filters,
            ..self
        }
    }

    const fn silent(self) -> Self {
        Self {
            sound: false,
            ..self
        }
    }

    const fn sound_only(self) -> Self {
        Self {
            pictures: false,
            ..self
        }
    }

    const fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    const fn loose(mut self, pictures: usize) -> Self {
        self.traits.loose = pictures;
        self
    }

    const fn other_pictures(mut self) -> Self {
        self.traits.other_pictures = true;
        self
    }

    const fn damaged(mut self) -> Self {
        self.traits.damaged = true;
        self
    }

    /// Makes the file in `folder`.
    pub(super) fn make(&self, folder: &Path) -> PathBuf {
        let path = folder.join(self.file);
        if self.then == Then::Given {
            std::fs::copy(shared_media().join(self.file), &path).unwrap();
            return path;
        }
        let first = match self.then {
            Then::Copied(_) => folder.join(format!("first-{}", self.file)),
            _ => path.clone(),
        };
        self.encode(&first);
        match self.then {
            Then::Given | Then::Stays => {}
            Then::Copied(arguments) => {
                let status = ffmpeg()
                    .arg("-i")
                    .arg(&first)
                    .args(["-map", "0", "-c", "copy"])
                    .args(arguments.split_whitespace())
                    .arg(&path)
                    .status();
                assert!(status.unwrap().success(), "{}", self.file);
                std::fs::remove_file(first).unwrap();
            }
            Then::Cut(percent) => {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes.truncate(bytes.len() * percent / 100);
                std::fs::write(&path, bytes).unwrap();
            }
            Then::Holed => {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle..middle + 3000].fill(0x5a);
                std::fs::write(&path, bytes).unwrap();
            }
        }
        path
    }

    fn encode(&self, path: &Path) {
        let mut command = ffmpeg();
        if self.pictures {
            let (size, rate, filters) = (self.size, self.rate, self.filters);
            command.args(["-f", "lavfi", "-i"]).arg(format!(
                "testsrc2=s={size}:r={rate}:d=3,format=yuv444p,lutyuv=y=val*0.4+16,\
                 drawbox=c=white:t=fill:enable='lt(mod(t\\,1)\\,0.099)'{filters}"
            ));
        }
        if self.sound {
            let (hertz, filters) = (self.hertz, self.sound_filters);
            command.args(["-f", "lavfi", "-i"]).arg(format!(
                "aevalsrc='0.7*sin(2000*PI*t)*lt(mod(t\\,1)\\,0.1)':s={hertz}:d=3{filters}"
            ));
        }
        let status = command
            .args(["-fps_mode", "passthrough"])
            .args(self.arguments.split_whitespace())
            .arg(path)
            .status();
        assert!(status.unwrap().success(), "{}", self.file);
    }
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-threads", "2"]);
    command
}

const fn given(file: &'static str) -> Recipe {
    let mut recipe = film(file, "");
    recipe.traits.recorded = true;
    recipe.then(Then::Given)
}

/// Files of others, as people have them: of a camera, of a film, of a programme. One of them is sound alone, in eight tracks.
pub(super) const GIVEN: [Recipe; 5] = [
    given("bigbuckbunny.mp4"),
    given("azure-bumper.mp4"),
    given("car-detection.mp4"),
    given("surround-audio.mp4"),
    given("echo-hereweare.webm"),
];

/// Codecs of pictures and sound, and the containers that carry them.
pub(super) const CODECS: [Recipe; 31] = [
    film(
        "avc-baseline.mp4",
        "-c:v libx264 -preset veryfast -profile:v baseline -pix_fmt yuv420p -c:a aac",
    ),
    film(
        "avc-bidirectional.mp4",
        "-c:v libx264 -preset veryfast -bf 3 -g 40 -pix_fmt yuv420p -c:a aac",
    ),
    film(
        "avc-fragmented.mp4",
        "-c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p -c:a aac -movflags frag_keyframe+empty_moov+default_base_moof",
    ),
    film(
        "avc-open.mkv",
        "-c:v libx264 -preset veryfast -bf 3 -g 30 -x264-params open-gop=1 -pix_fmt yuv420p -c:a libmp3lame",
    ),
    film(
        "avc.ts",
        "-c:v libx264 -preset veryfast -bf 2 -pix_fmt yuv420p -c:a aac",
    ),
    film(
        "hevc.mp4",
        "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -pix_fmt yuv420p -c:a ac3",
    ),
    film(
        "hevc.mkv",
        "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=4 -pix_fmt yuv420p -c:a eac3",
    ),
    film(
        "vp8.webm",
        "-c:v libvpx -deadline realtime -b:v 800k -pix_fmt yuv420p -c:a libvorbis",
    ),
    film(
        "vp9.webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -pix_fmt yuv420p -c:a libopus",
    ),
    film(
        "av1.mp4",
        "-c:v libsvtav1 -preset 12 -b:v 800k -pix_fmt yuv420p -c:a libopus",
    ),
    film(
        "mpeg1.mpg",
        "-c:v mpeg1video -b:v 2M -pix_fmt yuv420p -c:a mp2",
    )
    .loose(2),
    film(
        "mpeg2.ts",
        "-c:v mpeg2video -b:v 2M -bf 2 -pix_fmt yuv420p -c:a mp2",
    )
    .loose(1),
    film(
        "mpeg4.avi",
        "-c:v mpeg4 -b:v 2M -pix_fmt yuv420p -c:a libmp3lame",
    ),
    film(
        "mpeg4.mp4",
        "-c:v mpeg4 -bf 2 -b:v 2M -pix_fmt yuv420p -c:a aac",
    ),
    film(
        "msmpeg4.avi",
        "-c:v msmpeg4 -b:v 2M -pix_fmt yuv420p -c:a adpcm_ms",
    ),
    film(
        "h263.3gp",
        "-c:v h263 -b:v 2M -pix_fmt yuv420p -c:a aac -ac 1",
    )
    .size("352x288"),
    film(
        "mjpeg.avi",
        "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p -c:a pcm_u8",
    ),
    film(
        "jpeg2000.mkv",
        "-c:v jpeg2000 -pix_fmt yuv420p -c:a pcm_f32le",
    ),
    film(
        "prores.mov",
        "-c:v prores_ks -profile:v 2 -pix_fmt yuv422p10le -c:a pcm_s24le",
    ),
    film(
        "dnxhr.mov",
        "-c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p -c:a pcm_s16be",
    ),
    film("ffv1.mkv", "-c:v ffv1 -pix_fmt yuv420p -c:a flac"),
    film(
        "utvideo.avi",
        "-c:v utvideo -pix_fmt yuv420p -c:a pcm_s16le",
    ),
    film("raw.avi", "-c:v rawvideo -pix_fmt yuv420p -c:a pcm_alaw"),
    film(
        "theora.ogv",
        "-c:v libtheora -q:v 8 -pix_fmt yuv420p -c:a libvorbis",
    )
    .loose(1),
    film("wmv.wmv", "-c:v wmv2 -b:v 2M -pix_fmt yuv420p -c:a wmav2").loose(2),
    film(
        "flv1.flv",
        "-c:v flv1 -b:v 2M -pix_fmt yuv420p -c:a libmp3lame",
    )
    .hertz(44_100)
    .loose(2),
    film(
        "mpeg2.mxf",
        "-c:v mpeg2video -b:v 8M -g 12 -bf 2 -pix_fmt yuv422p -c:a pcm_s16le",
    )
    .loose(1),
    film(
        "vp9.ivf",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -pix_fmt yuv420p",
    )
    .silent(),
    film("raw.y4m", "-pix_fmt yuv420p").silent(),
    film("animated.gif", "-c:v gif")
        .silent()
        .loose(1)
        .other_pictures(),
    film("alac.mov", "-c:v qtrle -pix_fmt rgb24 -c:a alac"),
];

/// Chroma, depth, fields, orientation, shape of pixels, frame rates, times.
pub(super) const SHAPES: [Recipe; 27] = [
    film(
        "grey.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt gray -c:a aac",
    ),
    film(
        "422.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv422p -c:a aac",
    ),
    film(
        "444.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv444p -c:a aac",
    ),
    film(
        "10bit.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p10le -c:a aac",
    ),
    film(
        "12bit.mkv",
        "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv422p12le -c:a aac",
    ),
    film(
        "rgb.mkv",
        "-c:v libx264rgb -preset ultrafast -qp 10 -pix_fmt rgb24 -c:a aac",
    ),
    film(
        "full-range.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuvj420p -c:a aac",
    ),
    film(
        "alpha.webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -pix_fmt yuva420p -c:a libopus",
    ),
    film(
        "hdr.mkv",
        "-c:v libx265 -preset ultrafast -x265-params \
         log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc -pix_fmt yuv420p10le -c:a aac",
    )
    .other_pictures(),
    film(
        "hlg.mp4",
        "-c:v libx265 -preset ultrafast -x265-params \
         log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc -pix_fmt yuv420p10le -c:a aac",
    )
    .other_pictures(),
    film(
        "top-field.ts",
        "-flags +ilme+ildct -c:v mpeg2video -b:v 4M -pix_fmt yuv420p -c:a mp2",
    )
    .size("352x288")
    .rate("50")
    .filters(",tinterlace=interleave_top,setsar=16/11")
    .loose(1)
    .other_pictures(),
    film(
        "bottom-field.mkv",
        "-flags +ilme+ildct -x264-params bff=1 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a ac3",
    )
    .size("352x288")
    .rate("50")
    .filters(",tinterlace=interleave_bottom")
    .loose(1)
    .other_pictures(),
    film(
        "interlaced.mp4",
        "-flags +ilme+ildct -x264-params tff=1 -c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .size("352x288")
    .rate("50")
    .filters(",tinterlace=interleave_top")
    .loose(1)
    .other_pictures(),
    film("tape.dv", "-c:v dvvideo -pix_fmt yuv420p -c:a pcm_s16le -ac 2")
        .size("720x576")
        .filters(",setsar=16/15")
        .loose(1)
        .other_pictures(),
    film(
        "turned-90.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Copied("-metadata:s:v:0 rotate=90")),
    film(
        "turned-180.mov",
        "-c:v mpeg4 -b:v 2M -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Copied("-metadata:s:v:0 rotate=180")),
    film(
        "turned-270.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Copied("-metadata:s:v:0 rotate=270")),
    film(
        "narrow-pixels.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .size("352x288")
    .filters(",setsar=12/11"),
    film(
        "odd.mkv",
        "-c:v ffv1 -pix_fmt yuv444p -c:a flac",
    )
    .size("321x181"),
    film(
        "film-rate.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .rate("24000/1001"),
    film(
        "fifty.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .rate("50"),
    film(
        "sixty.mkv",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .rate("60000/1001"),
    film(
        "slow.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .rate("10"),
    film(
        "variable.mp4",
        "-c:v libx264 -preset veryfast -bf 2 -pix_fmt yuv420p -video_track_timescale 90000 -c:a aac",
    )
    .rate("30")
    .filters(",select='not(mod(n\\,3))+lt(t\\,1.5)'"),
    film(
        "variable.webm",
        "-c:v libvpx -deadline realtime -b:v 800k -pix_fmt yuv420p -c:a libopus",
    )
    .rate("30")
    .filters(",select='not(mod(n\\,3))+lt(t\\,1.5)'"),
    film(
        "wrapping.ts",
        "-c:v libx264 -preset veryfast -bf 2 -pix_fmt yuv420p -c:a aac -output_ts_offset 95440",
    ),
    film(
        "edited.mp4",
        "-c:v libx264 -preset veryfast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Copied("-ss 0.5")),
];

/// Sample rates and layouts, and media of one kind.
pub(super) const SOUNDS: [Recipe; 23] = [
    film(
        "8000.avi",
        "-c:v mpeg4 -b:v 2M -pix_fmt yuv420p -c:a pcm_s16le",
    )
    .hertz(8_000),
    film(
        "11025.mkv",
        "-c:v mpeg4 -b:v 2M -pix_fmt yuv420p -c:a pcm_s16le",
    )
    .hertz(11_025),
    film(
        "16000.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .hertz(16_000),
    film(
        "22050.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .hertz(22_050),
    film(
        "32000.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .hertz(32_000),
    film(
        "44100.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .hertz(44_100),
    film(
        "96000.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .hertz(96_000),
    film("192000.mkv", "-c:v ffv1 -pix_fmt yuv420p -c:a flac").hertz(192_000),
    film(
        "mono.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -ac 1",
    ),
    film(
        "stereo.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .sound_filters(",pan=stereo|c0=c0|c1=0.5*c0"),
    film(
        "2.1.mkv",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a flac",
    )
    .sound_filters(",pan=2.1|c0=c0|c1=c0|c2=0*c0"),
    film(
        "quad.mkv",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a flac",
    )
    .sound_filters(",pan=quad|c0=c0|c1=c0|c2=0*c0|c3=0*c0"),
    film(
        "5.1.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -b:a 320k",
    )
    .sound_filters(",pan=5.1|c0=0*c0|c1=0*c0|c2=c0|c3=0*c0|c4=0*c0|c5=0*c0"),
    film(
        "7.1.mkv",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a flac",
    )
    .sound_filters(",pan=7.1|c0=c0|c1=c0|c2=c0|c3=0*c0|c4=0*c0|c5=0*c0|c6=0*c0|c7=0*c0"),
    film("tone.wav", "-c:a pcm_s24le")
        .sound_only()
        .hertz(96_000),
    film("tone.mp3", "-c:a libmp3lame")
        .sound_only()
        .hertz(44_100),
    film("tone.m4a", "-c:a aac").sound_only(),
    film("tone.aiff", "-c:a pcm_s16be").sound_only(),
    film("tone.caf", "-c:a alac").sound_only(),
    film("tone.flac", "-c:a flac").sound_only(),
    film("tone.aac", "-c:a aac").sound_only(),
    film("tone.ac3", "-c:a ac3").sound_only(),
    film(
        "silent.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p",
    )
    .silent(),
];

/// What arrived in part, or not as it was sent.
pub(super) const DAMAGED: [Recipe; 7] = [
    film(
        "cut.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -movflags +faststart",
    )
    .then(Then::Cut(60))
    .damaged(),
    film(
        "headless.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Cut(60))
    .damaged(),
    film(
        "cut.mkv",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Cut(60))
    .damaged(),
    film(
        "cut.ts",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Cut(60))
    .damaged(),
    film(
        "holed.mp4",
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac",
    )
    .then(Then::Holed)
    .damaged(),
    film(
        "holed.ts",
        "-c:v mpeg2video -b:v 2M -pix_fmt yuv420p -c:a mp2",
    )
    .then(Then::Holed)
    .damaged(),
    film(
        "holed.webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -pix_fmt yuv420p -c:a libopus",
    )
    .then(Then::Holed)
    .damaged(),
];
