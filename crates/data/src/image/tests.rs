use super::*;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use jpeg_encoder::{ColorType, Encoder};
use proptest::prelude::*;
use std::io::Cursor;

const RANGE: ValueRange = ValueRange { min: 0., max: 16. };

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn decoded(bytes: &[u8], channels: Channels) -> Picture {
    Header::read(bytes).unwrap().decode(bytes, channels, 1, Vec::new()).unwrap()
}

/// Red on the left and dark blue on the right, 32 × 16.
fn two_colors() -> RgbImage {
    RgbImage::from_fn(32, 16, |x, _| Rgb(if x < 16 { [250, 10, 10] } else { [10, 10, 100] }))
}

fn assert_close(image: &Picture, x: u32, y: u32, color: &[u8]) {
    let at = (y * image.width + x) as usize * image.channels;
    let pixel = &image.pixels[at..at + image.channels];
    let is_close = pixel.iter().zip(color).all(|(a, b)| a.abs_diff(*b) <= 6);
    assert!(is_close && pixel.len() == color.len(), "{pixel:?} for {color:?}");
}

#[test]
fn every_format_gives_the_same_image() {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    for format in [Bmp, Gif, Jpeg, Png, Tiff, WebP] {
        let bytes = encoded(two_colors(), format);
        let image = decoded(&bytes, Channels::Color);
        assert_eq!((image.width, image.height), (32, 16), "{format:?}");
        assert_close(&image, 3, 8, &[250, 10, 10]);
        assert_close(&image, 28, 8, &[10, 10, 100]);
        let gray = decoded(&bytes, Channels::Grey);
        assert_close(&gray, 3, 8, &[82]);
    }
}

#[test]
fn gray_deep_and_transparent_images_are_converted_to_eight_bits() {
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(4, 4, Luma([0x8080]));
    let image = decoded(&encoded(deep, ImageFormat::Png), Channels::Color);
    assert_eq!(image.pixels, [0x80; 48]);
    let gray = GrayImage::from_pixel(4, 4, Luma([7]));
    let bytes = encoded(gray, ImageFormat::Png);
    assert!(!Header::read(&bytes).unwrap().is_color);
    assert_eq!(decoded(&bytes, Channels::Grey).pixels, [7; 16]);
    let half = RgbaImage::from_pixel(2, 2, Rgba([200, 100, 0, 128]));
    let image = decoded(&encoded(half, ImageFormat::Png), Channels::Color);
    assert_eq!(image.pixels[..3], [227, 177, 127]);
    let hidden = GrayAlphaImage::from_pixel(2, 2, image::LumaA([200, 0]));
    let image = decoded(&encoded(hidden, ImageFormat::Png), Channels::Grey);
    assert_eq!(image.pixels, [255; 4]);
    assert!(image.remark.unwrap().contains("fully transparent"));
}

#[test]
fn dark_content_on_a_transparent_background_stays_visible_and_opaque_pixels_are_unchanged() {
    let icon = RgbaImage::from_fn(8, 8, |x, y| match (x, y) {
        (2, _) => Rgba([0, 0, 0, 255]),
        (_, 5) => Rgba([201, 100, 3, 255]),
        _ => Rgba([0, 0, 0, 0]),
    });
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Gif] {
        let image = decoded(&encoded(icon.clone(), format), Channels::Color);
        let pixel = |x: usize, y: usize| &image.pixels[3 * (8 * y + x)..][..3];
        assert_eq!((pixel(2, 0), pixel(0, 0)), (&[0; 3][..], &[255; 3][..]), "{format:?}");
        assert_close(&image, 4, 5, &[201, 100, 3]);
        assert_eq!(image.remark, None);
    }
    let gray = GrayAlphaImage::from_fn(2, 1, |x, _| image::LumaA([40, if x == 0 { 255 } else { 0 }]));
    assert_eq!(decoded(&encoded(gray, ImageFormat::Png), Channels::Grey).pixels, [40, 255]);
}

#[test]
fn a_transparent_color_of_a_palette_is_white() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(&[9, 8, 7, 0, 0, 0][..]);
    encoder.set_trns(&[255, 0][..]);
    encoder.write_header().unwrap().write_image_data(&[1, 0]).unwrap();
    assert_eq!(decoded(&bytes, Channels::Color).pixels, [255, 255, 255, 9, 8, 7]);
}

#[test]
fn white_content_on_a_transparent_background_gives_a_warning() {
    let ink = RgbaImage::from_fn(4, 4, |x, _| Rgba([255, 255, 255, if x < 2 { 255 } else { 0 }]));
    let remark = decoded(&encoded(ink, ImageFormat::Png), Channels::Color).remark.unwrap();
    assert!(remark.contains("white content"), "{remark}");
    let opaque = RgbaImage::from_pixel(4, 4, Rgba([255; 4]));
    assert_eq!(decoded(&encoded(opaque, ImageFormat::Png), Channels::Color).remark, None);
}

/// A gray PNG with 16 bits per value.
fn deep(values: &[u16]) -> Vec<u8> {
    let image: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_raw(values.len() as u32, 1, values.to_vec()).unwrap();
    encoded(image, ImageFormat::Png)
}

#[test]
fn the_bits_in_use_define_the_range() {
    for (most, bits) in [(255, 8), (1023, 10), (4095, 12), (16383, 14), (65535, 16)] {
        // Gray values of 84, 226 and 255, in this number of bits.
        let at = |gray: u32| (u32::from(most) * gray / 255) as u16;
        let bytes = deep(&[0, at(84), at(226), most]);
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.used_bits(&bytes).unwrap(), Some(bits));
        let image = decoded(&bytes, Channels::Grey);
        let expected = [0, 84, 226, 255];
        assert!(image.pixels.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 1), "{:?}", image.pixels);
        let remark = image.remark.map_or(String::new(), |remark| remark);
        assert_eq!(remark.contains(&format!("uses {bits} of them")), bits < 16, "{remark}");
    }
}

#[test]
fn a_known_depth_keeps_dark_images_dark_and_rejects_brighter_ones() {
    let dark = deep(&[0, 800, 900]);
    let with = |bytes: &[u8], depth| {
        let mut header = Header::read(bytes).unwrap();
        header.depth = Some(depth);
        header.decode(bytes, Channels::Grey, 1, Vec::new())
    };
    assert_eq!(with(&dark, 16).unwrap().pixels, [0, 3, 4]);
    assert_eq!(with(&dark, 12).unwrap().pixels, [0, 50, 56]);
    assert_eq!(with(&dark, 12).unwrap().remark, None);
    let problem = with(&deep(&[5000]), 12).unwrap_err();
    assert!(problem.contains("go up to 5000") && problem.contains("use 12 bits (up to 4095)"), "{problem}");
    assert_eq!(with(&deep(&[0, 0]), 12).unwrap().pixels, [0, 0]);
}

#[test]
fn unsupported_files_are_named() {
    for (bytes, problem) in [
        (
            &b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..],
            "this is a HEIC image, which is not supported; convert it",
        ),
        (b"%PDF-1.4", "this is a PDF document, not an image"),
        (b"no image", "this is not an image in a supported format"),
    ] {
        assert!(Header::read(bytes).err().unwrap().contains(problem));
    }
}

#[test]
fn palettes_of_png_are_looked_up() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(&[9, 8, 7, 250, 10, 10][..]);
    encoder.write_header().unwrap().write_image_data(&[1, 0]).unwrap();
    assert_eq!(decoded(&bytes, Channels::Color).pixels, [250, 10, 10, 9, 8, 7]);
}

#[test]
fn cmyk_jpegs_are_turned_to_rgb() {
    // No ink but cyan; the encoder writes Adobe's inverted values.
    let ink: Vec<u8> = [255, 0, 0, 0].repeat(64);
    for color in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 95).encode(&ink, 8, 8, color).unwrap();
        let image = decoded(&bytes, Channels::Color);
        assert_close(&image, 3, 3, &[0, 255, 255]);
    }
}

/// The 32 × 16 image as a JPEG with an EXIF orientation.
fn turned_jpeg(orientation: u8) -> Vec<u8> {
    let entry = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    let exif = [b"Exif\0\0MM\0*\0\0\0\x08\0\x01", &entry[..], &[0; 4]].concat();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    encoder.add_app_segment(1, exif).unwrap();
    encoder.encode(&two_colors(), 32, 16, ColorType::Rgb).unwrap();
    bytes
}

#[test]
fn exif_turns_a_jpeg_upright() {
    for (orientation, red) in [(1, (3, 8)), (3, (28, 8)), (6, (8, 3)), (8, (8, 28))] {
        let bytes = turned_jpeg(orientation);
        let header = Header::read(&bytes).unwrap();
        let size = if orientation > 4 { (16, 32) } else { (32, 16) };
        assert_eq!((header.width, header.height), size);
        let image = header.decode(&bytes, Channels::Color, 1, Vec::new()).unwrap();
        assert_close(&image, red.0, red.1, &[250, 10, 10]);
        let half = header.decode(&bytes, Channels::Color, 2, Vec::new()).unwrap();
        assert_eq!((half.width, half.height), (size.0 / 2, size.1 / 2));
        assert_close(&half, red.0 / 2, red.1 / 2, &[250, 10, 10]);
    }
}

#[test]
fn a_large_jpeg_for_a_small_target_gives_what_the_whole_one_gives() {
    let image = RgbImage::from_fn(400, 320, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 90]));
    let fitted = |bytes: &[u8]| {
        let mut fitter = Fitter::new(Channels::Color, 32, 40);
        let mut out = vec![0; fitter.bytes()];
        fitter.fit(bytes, fitter.center_crop(), &mut out).unwrap();
        out
    };
    let whole = fitted(&encoded(image.clone(), ImageFormat::Png));
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, 95).encode(&image, 400, 320, ColorType::Rgb).unwrap();
    let scaled = fitted(&jpeg);
    let difference = whole.iter().zip(&scaled).map(|(a, b)| u32::from(a.abs_diff(*b))).max();
    assert!(difference <= Some(4), "{difference:?}");
}

#[test]
fn the_middle_has_the_proportions_of_the_target() {
    let region = Region::middle((500, 300), (100, 100), 1.);
    assert_eq!(region, Region { left: 100., top: 0., width: 300., height: 300. });
    let region = Region::middle((10, 100), (20, 10), 1.);
    assert_eq!(region, Region { left: 0., top: 40., width: 10., height: 20. });
    let region = Region::middle((500, 300), (100, 100), 0.5);
    assert_eq!(region, Region { left: 175., top: 75., width: 150., height: 150. });
}

#[test]
fn black_and_white_are_the_ends_of_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    GrayImage::from_fn(8, 8, |x, _| Luma([if x < 4 { 0 } else { 255 }])).save(&path).unwrap();
    let values = read(&path, &InputShape(vec![1, 8, 8]), RANGE).unwrap();
    assert_eq!(values[..8], [0., 0., 0., 0., 16., 16., 16., 16.]);
}

#[test]
fn images_are_resized_and_converted_to_channels_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    RgbImage::from_pixel(80, 40, Rgb([255, 0, 51])).save(&path).unwrap();
    let values = read(&path, &InputShape(vec![3, 8, 8]), ValueRange { min: 0., max: 1. }).unwrap();
    assert_eq!((values[0], values[63], values[64]), (1., 1., 0.));
    assert!((values[191] - 0.2).abs() < 1e-6);
}

#[test]
fn a_damaged_image_and_a_table_model_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    std::fs::write(&path, b"no image").unwrap();
    let problem = |shape: Vec<i64>| read(&path, &InputShape(shape), RANGE).unwrap_err().to_string();
    assert!(problem(vec![1, 8, 8]).contains("a.png: this is not an image"));
    assert!(problem(vec![4]).contains("rows of 4 values"));
}

#[test]
fn a_jpeg_cut_anywhere_is_damaged() {
    let bytes = turned_jpeg(1);
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        let result = Header::read(cut).and_then(|header| header.decode(cut, Channels::Color, 1, Vec::new()));
        assert!(result.is_err(), "cut to {length} of {} bytes", bytes.len());
    }
}

#[test]
fn a_decompression_bomb_is_rejected_by_its_header() {
    let mut png = encoded(GrayImage::from_pixel(4, 4, Luma([7])), ImageFormat::Png);
    // The size follows the signature and the chunk header; the checksum is corrected.
    png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    let problem = Header::read(&png).err().unwrap();
    assert!(problem.contains("declares 65535 × 65535"), "{problem}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(
        bytes: Vec<u8>, kind in 0usize..6, at in 0usize..2000, by in 1u8.., cut in 0usize..2000
    ) {
        let mut file = encoded(two_colors(), FORMATS[kind]);
        let place = at % file.len();
        file[place] ^= by;
        let start = file[..cut % file.len()].to_vec();
        for bytes in [bytes, file, start] {
            if let Ok(header) = Header::read(&bytes) {
                let _ = header.decode(&bytes, Channels::Grey, 1, Vec::new());
                let _ = header.decode(&bytes, Channels::Color, 4, Vec::new());
            }
        }
    }
}
